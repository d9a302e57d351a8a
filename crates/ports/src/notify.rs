//! Notices: people are told what becomes of an incident, on the channels they read.
//!
//! A notice is drawn from a row of the journal, so it exists before anybody is told. It decides nothing: its links lead to a page
//! or a command where a person looks at the change and confirms with its digest.

use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sre_space_domain::ids::Digest;
use sre_space_domain::incident::EscalationReason;
use thiserror::Error;

/// How bad it is, in the words PagerDuty has for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Good to know.
    Info,
    /// Something may come of it.
    Warning,
    /// Something fails.
    Error,
    /// Something fails, and the loop does not mend it.
    Critical,
}

impl Severity {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
            Self::Critical => "critical",
        }
    }
}

/// What is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum What {
    /// An incident is confirmed.
    Opened,
    /// It went on by itself.
    Moved,
    /// A person is needed, and why.
    Call(EscalationReason),
    /// A person decided, and the loop goes on.
    Decided,
    /// Nothing is left to do: resolved, passed by itself, or seen healthy again.
    Over,
    /// Something that may become an incident.
    Risk,
}

impl What {
    /// Whether somebody is woken for it. What a person has just decided, and what waits without harm, wakes nobody.
    pub fn pages(self) -> bool {
        match self {
            Self::Call(reason) => match reason {
                EscalationReason::LowConfidence
                | EscalationReason::NoRemedy
                | EscalationReason::PolicyDenied
                | EscalationReason::ApprovalRequired
                | EscalationReason::AttemptsExhausted
                | EscalationReason::EffectFailed
                | EscalationReason::AutonomyOff => true,
                EscalationReason::Inconclusive | EscalationReason::Rejected | EscalationReason::Kept => false,
            },
            Self::Risk => true,
            Self::Opened | Self::Moved | Self::Decided | Self::Over => false,
        }
    }

    /// Whether it says that a person has taken the matter up.
    pub fn acknowledges(self) -> bool {
        match self {
            Self::Decided => true,
            Self::Call(reason) => matches!(reason, EscalationReason::Rejected | EscalationReason::Kept),
            Self::Opened | Self::Moved | Self::Over | Self::Risk => false,
        }
    }
}

/// What a person is asked, and where they may answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Question {
    /// Digest of the change in hand; whoever decides confirms with it.
    pub digest: Digest,
    /// Page on which the change can be seen and approved. Opening it decides nothing.
    pub approve: String,
    /// The same, to reject it.
    pub reject: String,
}

/// One notice. Names in it are cleaned ([`sre_space_domain::plain`]); a channel still escapes what its own mark-up needs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Notice {
    /// What all notices of one matter share: the incident's id.
    pub subject: String,
    /// Number of the journal's row it was drawn from.
    pub step: u64,
    /// When that happened.
    pub at: Timestamp,
    /// What is told.
    pub what: What,
    /// How bad it is.
    pub severity: Severity,
    /// Where the matter stands, in the contract's word.
    pub state: String,
    /// The service it is about.
    pub service: String,
    /// One line.
    pub title: String,
    /// What happened, in one or two sentences.
    pub text: String,
    /// Names and values worth knowing.
    pub facts: Vec<(&'static str, String)>,
    /// The monitor's page of the incident.
    pub page: String,
    /// What is asked, where something is.
    pub question: Option<Question>,
}

impl Notice {
    /// The same however often the notice is told, and another for every other notice.
    pub fn key(&self) -> String {
        format!("{}-{}", self.subject, self.step)
    }
}

/// A notice that a channel was told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// The row it was drawn from.
    pub step: u64,
    /// What was told.
    pub what: What,
    /// What the channel wants to be reminded of, where it wants that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<String>,
}

/// What a channel was told before of the same matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Before {
    /// Oldest first.
    pub told: Vec<Told>,
    /// Whether this very notice may have been told already, and the answer was lost.
    pub in_doubt: bool,
}

impl Before {
    /// The last receipt.
    pub fn receipt(&self) -> Option<&str> {
        self.told.iter().rev().find_map(|told| told.receipt.as_deref())
    }

    /// Whether somebody was woken for it and was not told since that it is over.
    pub fn is_paged(&self) -> bool {
        let last = self.told.iter().rev().find(|told| told.what.pages() || told.what == What::Over);
        last.is_some_and(|told| told.what.pages())
    }
}

/// Why a channel was not told.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NotifyError {
    /// It did not answer, or said that it cannot right now.
    #[error("{0}")]
    Unreachable(String),
    /// It wants to be left alone for a while.
    #[error("{why}; again in {} s", wait.as_secs())]
    Later {
        /// For how long.
        wait: Duration,
        /// Why, in its words.
        why: String,
    },
    /// It does not take it, now or later.
    #[error("refused: {0}")]
    Refused(String),
}

impl NotifyError {
    /// Whether trying again can help.
    pub fn is_transient(&self) -> bool {
        match self {
            Self::Unreachable(_) | Self::Later { .. } => true,
            Self::Refused(_) => false,
        }
    }

    /// How long it wants to be left alone.
    pub fn wait(&self) -> Option<Duration> {
        match self {
            Self::Later { wait, .. } => Some(*wait),
            Self::Unreachable(_) | Self::Refused(_) => None,
        }
    }
}

/// One channel.
///
/// Promise: a notice that is told again with the same key makes no second page, and no second message where the other side lets
/// itself be asked; elsewhere the key goes along, so that the receiver can tell.
#[async_trait]
pub trait Notifier: Send + Sync {
    /// Its name in the journal.
    fn name(&self) -> &'static str;
    /// Whether it is told of this.
    fn carries(&self, notice: &Notice, before: &Before) -> bool;
    /// Tells it; the receipt is handed back with the next notice of the same matter.
    async fn tell(&self, notice: &Notice, before: &Before) -> Result<Option<String>, NotifyError>;
    /// What the other side says of us, asked without telling anybody.
    async fn look(&self) -> Result<String, NotifyError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(what: &[What]) -> Before {
        let told = what.iter().map(|what| Told { step: 1, what: *what, receipt: None }).collect();
        Before { told, in_doubt: false }
    }

    #[test]
    fn the_undecided_wakes_nobody_and_what_failed_does() {
        assert!(!What::Call(EscalationReason::Inconclusive).pages());
        assert!(What::Call(EscalationReason::NoRemedy).pages());
        assert!(What::Risk.pages());
    }

    #[test]
    fn a_page_is_open_until_it_is_over() {
        let page = What::Call(EscalationReason::ApprovalRequired);
        let table = [
            (vec![], false),
            (vec![What::Opened, What::Over], false),
            (vec![What::Opened, page, What::Decided], true),
            (vec![page, What::Over], false),
            (vec![page, What::Over, page], true),
        ];
        for (what, expected) in table {
            assert_eq!(told(&what).is_paged(), expected, "{what:?}");
        }
    }
}
