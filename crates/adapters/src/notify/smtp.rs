//! Mail: plain text, when a person is needed and when it is over.
//!
//! `smtp://` means STARTTLS, without which nothing is sent (this machine's own server excepted), and `smtps://` means TLS from the
//! first byte. The Message-ID is made of incident and step, so that a mail that comes twice can be told to be one.

use std::sync::Arc;
use std::time::SystemTime;

use async_trait::async_trait;
use lettre::message::Mailbox;
use lettre::message::header::ContentType;
use lettre::transport::smtp::AsyncSmtpTransport;
use lettre::{AsyncTransport as _, Message, Tokio1Executor};
use reqwest::Url;
use sre_space_ports::notify::{Before, Notice, Notifier, NotifyError, What};
use thiserror::Error;

use super::wire::guard;
use super::{PATIENCE, cut};
use crate::upstream::Upstream;

/// Characters of a subject.
const MOST_SUBJECT: usize = 150;
/// Characters of a line.
const MOST_LINE: usize = 1_000;

/// Why no mail can be sent with these settings.
#[derive(Debug, Error)]
pub enum WrongMail {
    /// The server's address.
    #[error("SMTP_URL is no smtp://… or smtps://… address of a server")]
    Url,
    /// An address.
    #[error("{0} is no mail address")]
    Address(String),
}

/// A mail server, and who is written to.
pub struct Smtp {
    transport: AsyncSmtpTransport<Tokio1Executor>,
    from: Mailbox,
    to: Vec<Mailbox>,
    upstream: Arc<Upstream>,
}

impl Smtp {
    /// Mail from one address to others, through the server of a URL.
    pub fn new(url: &str, from: &str, to: &[String], upstream: Arc<Upstream>) -> Result<Self, WrongMail> {
        sre_space_tls::install();
        let mailbox = |text: &str| text.parse::<Mailbox>().map_err(|_| WrongMail::Address(text.to_owned()));
        let url = encrypted(url).ok_or(WrongMail::Url)?;
        let transport = AsyncSmtpTransport::<Tokio1Executor>::from_url(&url).map_err(|_| WrongMail::Url)?;
        Ok(Self {
            transport: transport.timeout(Some(PATIENCE)).build(),
            from: mailbox(from)?,
            to: to.iter().map(|to| mailbox(to)).collect::<Result<_, _>>()?,
            upstream,
        })
    }

    fn mail(&self, notice: &Notice) -> Result<Message, lettre::error::Error> {
        let domain = self.from.email.domain();
        let thread = format!("<{}@{domain}>", notice.subject);
        let mut mail = Message::builder().from(self.from.clone());
        for to in &self.to {
            mail = mail.to(to.clone());
        }
        mail.date(SystemTime::from(notice.at))
            .message_id(Some(format!("<{}@{domain}>", notice.key())))
            .in_reply_to(thread.clone())
            .references(thread)
            .subject(cut(&one_line(&format!("[SRE-Space] {}", notice.title)), MOST_SUBJECT))
            .header(ContentType::TEXT_PLAIN)
            .body(text(notice))
    }
}

/// A password or an incident is not sent in the clear, except within this machine.
fn encrypted(url: &str) -> Option<String> {
    let mut url = Url::parse(url).ok()?;
    let is_here = matches!(url.host_str()?, "127.0.0.1" | "localhost" | "[::1]");
    url.set_query((url.scheme() == "smtp" && !is_here).then_some("tls=required"));
    Some(url.into())
}

fn text(notice: &Notice) -> String {
    let mut lines = vec![notice.text.clone(), String::new()];
    lines.extend(notice.facts.iter().map(|(name, value)| format!("{name}: {value}")));
    lines.push(format!("state: {}", notice.state));
    lines.push(format!("at: {}", notice.at.strftime("%F %T UTC")));
    lines.extend([String::new(), format!("The incident: {}", notice.page)]);
    if let Some(asked) = &notice.question {
        lines.push(format!("To approve: {}", asked.approve));
        lines.push(format!("To reject: {}", asked.reject));
        lines.push(format!("Or: sre-space approve {} --digest {}", notice.subject, asked.digest));
    }
    lines.iter().map(|line| cut(&one_line(line), MOST_LINE) + "\r\n").collect()
}

/// Without line breaks and other control characters.
fn one_line(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn failed(error: &lettre::transport::smtp::Error) -> NotifyError {
    let code = error.status().map_or_else(String::new, |code| format!(" ({code})"));
    if error.is_permanent() || error.is_client() {
        return NotifyError::Refused(format!("the mail server says no{code}"));
    }
    let why = if error.is_transient() {
        "the mail server cannot now"
    } else {
        "the mail server does not answer as it should"
    };
    NotifyError::Unreachable(format!("{why}{code}"))
}

#[async_trait]
impl Notifier for Smtp {
    fn name(&self) -> &'static str {
        "mail"
    }

    /// What is over is told to those who were written to.
    fn carries(&self, notice: &Notice, before: &Before) -> bool {
        match notice.what {
            What::Call(_) | What::Risk => true,
            What::Over => before.told.last().is_some_and(|told| told.what != What::Over),
            What::Opened | What::Moved | What::Decided => false,
        }
    }

    async fn tell(&self, notice: &Notice, _before: &Before) -> Result<Option<String>, NotifyError> {
        let mail = self.mail(notice).map_err(|error| NotifyError::Refused(error.to_string()))?;
        let sent = async { self.transport.send(mail).await.map(drop).map_err(|error| failed(&error)) };
        guard(&self.upstream, async {
            let late = |_| NotifyError::Unreachable("the mail server did not answer in time".to_owned());
            tokio::time::timeout(PATIENCE, sent).await.map_err(late)?
        })
        .await?;
        Ok(None)
    }

    async fn look(&self) -> Result<String, NotifyError> {
        let asked = async { self.transport.test_connection().await.map_err(|error| failed(&error)) };
        let late = |_| NotifyError::Unreachable("the mail server did not answer in time".to_owned());
        match tokio::time::timeout(PATIENCE, asked).await.map_err(late)?? {
            true => Ok(format!("the server takes mail from {}", self.from.email)),
            false => Err(NotifyError::Unreachable("the mail server is not ready".to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_this_machine_in_the_clear() {
        let table = [
            ("smtp://ann:s3cret@mail.example:587", "smtp://ann:s3cret@mail.example:587?tls=required"),
            ("smtp://mail.example?tls=opportunistic", "smtp://mail.example?tls=required"),
            ("smtp://localhost.evil.example", "smtp://localhost.evil.example?tls=required"),
            ("smtp://127.0.0.1@evil.example", "smtp://127.0.0.1@evil.example?tls=required"),
            ("smtps://mail.example", "smtps://mail.example"),
            ("smtp://127.0.0.1:2525", "smtp://127.0.0.1:2525"),
        ];
        for (url, expected) in table {
            assert_eq!(encrypted(url).as_deref(), Some(expected));
        }
        assert_eq!(encrypted("nonsense"), None);
    }

    #[tokio::test]
    async fn a_server_without_encryption_is_told_nothing() {
        let listener = tokio::net::TcpListener::bind("127.0.0.2:0").await.expect("another address of this machine");
        let address = listener.local_addr().expect("an address");
        let url = format!("smtp://ann:s3cret@{address}");
        let smtp =
            Smtp::new(&url, "a@example.org", &["b@example.org".to_owned()], Upstream::new("mail")).expect("mail");
        let heard = async {
            use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
            let (stream, _) = listener.accept().await.expect("a client");
            let (read, mut write) = stream.into_split();
            let mut lines = BufReader::new(read).lines();
            let mut heard = Vec::new();
            write.write_all(b"220 plain\r\n").await.expect("said");
            while let Ok(Some(line)) = lines.next_line().await {
                heard.push(line);
                if write.write_all(b"250 8BITMIME\r\n").await.is_err() {
                    break;
                }
            }
            heard
        };
        let (looked, heard) = tokio::join!(smtp.look(), heard);
        assert!(looked.is_err());
        assert!(!heard.iter().any(|line| line.starts_with("AUTH") || line.starts_with("MAIL")), "{heard:?}");
    }
}
