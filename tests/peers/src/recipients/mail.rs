//! A mail server that takes everything and keeps it.

use std::net::TcpListener;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::JoinSet;

use super::{Books, Fault, Recipient};

/// A mail that was taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// Who is said to have sent it.
    pub from: String,
    /// Whom it is for.
    pub to: Vec<String>,
    /// Headers and text, lines joined by `\n`.
    pub text: String,
}

impl Mail {
    /// A header's value; empty where there is none.
    pub fn header(&self, name: &str) -> String {
        let prefix = format!("{name}: ");
        let head = self.text.split("\n\n").next().unwrap_or_default();
        head.lines().find_map(|line| line.strip_prefix(&prefix)).unwrap_or_default().to_owned()
    }
}

/// A mail server.
pub struct MailServer(pub Recipient<Mail>);

impl MailServer {
    /// Starts one.
    pub fn start() -> Self {
        Self(Recipient::start(serve))
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("smtp://{}", self.0.address())
    }
}

async fn serve(listener: TcpListener, books: Arc<Books<Mail>>) {
    listener.set_nonblocking(true).expect("a socket");
    let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
    let mut talks = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let books = Arc::clone(&books);
        talks.spawn(async move { talk(stream, &books).await });
    }
}

struct Talk {
    lines: Lines<BufReader<OwnedReadHalf>>,
    out: OwnedWriteHalf,
}

impl Talk {
    async fn say(&mut self, line: &str) -> Option<()> {
        self.out.write_all(format!("{line}\r\n").as_bytes()).await.ok()
    }

    async fn hear(&mut self) -> Option<String> {
        self.lines.next_line().await.ok()?
    }

    async fn text(&mut self) -> Option<String> {
        let mut text = Vec::new();
        loop {
            let line = self.hear().await?;
            if line == "." {
                return Some(text.join("\n"));
            }
            text.push(line.strip_prefix('.').unwrap_or(&line).to_owned());
        }
    }
}

async fn talk(stream: TcpStream, books: &Books<Mail>) -> Option<()> {
    let (read, out) = stream.into_split();
    let mut talk = Talk { lines: BufReader::new(read).lines(), out };
    let mut mail = Mail { from: String::new(), to: Vec::new(), text: String::new() };
    talk.say("220 stub ESMTP").await?;
    loop {
        let line = talk.hear().await?;
        let (verb, rest) = line.split_at(line.find(' ').unwrap_or(line.len()));
        match verb.to_ascii_uppercase().as_str() {
            "EHLO" | "HELO" => talk.say("250-stub\r\n250 8BITMIME").await?,
            "MAIL" => match books.fault() {
                Some(Fault::Status(code)) => talk.say(&format!("{code} not now")).await?,
                Some(Fault::Busy(_)) => talk.say("451 busy").await?,
                Some(Fault::Unheard) => std::future::pending().await,
                None => {
                    mail.from = bracketed(rest);
                    talk.say("250 ok").await?;
                }
            },
            "RCPT" => {
                mail.to.push(bracketed(rest));
                talk.say("250 ok").await?;
            }
            "DATA" => {
                talk.say("354 go on").await?;
                mail.text = talk.text().await?;
                books.take(mail.clone());
                mail.to.clear();
                talk.say("250 taken").await?;
            }
            "NOOP" | "RSET" => talk.say("250 ok").await?,
            "QUIT" => return talk.say("221 bye").await,
            _ => talk.say("502 unknown").await?,
        }
    }
}

fn bracketed(text: &str) -> String {
    text.split(['<', '>']).nth(1).unwrap_or_default().to_owned()
}
