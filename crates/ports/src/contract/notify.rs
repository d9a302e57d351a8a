//! What every channel must do.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use jiff::Timestamp;
use sre_space_domain::ids::Digest;
use sre_space_domain::incident::EscalationReason;

use crate::notify::{Before, Notice, Notifier, Question, Severity, Told, What};

/// A notice of step `step` about one incident.
pub fn notice(step: u64, what: What) -> Notice {
    let page = "http://127.0.0.1:8001/monitor?incident=inc_1".to_owned();
    let asked = Question {
        digest: Digest::of([b"plan".as_slice()]),
        approve: format!("{page}#approve"),
        reject: format!("{page}#reject"),
    };
    Notice {
        subject: "inc_1".to_owned(),
        step,
        at: Timestamp::from_second(1_800_000_000).expect("a time"),
        what,
        severity: if what.pages() { Severity::Critical } else { Severity::Info },
        state: "acting".to_owned(),
        service: "shop".to_owned(),
        title: "shop: 45.2 % of 118 requests failing (inc_1)".to_owned(),
        text: "what happened".to_owned(),
        facts: vec![("service", "shop".to_owned())],
        question: matches!(what, What::Call(_)).then_some(asked),
        page,
    }
}

const NEEDED: What = What::Call(EscalationReason::NoRemedy);

/// Every channel is told that a person is needed, and when it is over.
pub async fn a_person_who_is_needed_is_told(channel: &dyn Notifier) {
    let (call, over) = (notice(1, NEEDED), notice(2, What::Over));
    assert!(channel.carries(&call, &Before::default()));
    let receipt = channel.tell(&call, &Before::default()).await.expect("told");
    let before = Before { told: vec![Told { step: 1, what: NEEDED, receipt }], in_doubt: false };
    assert!(channel.carries(&over, &before));
    channel.tell(&over, &before).await.expect("told");
}

/// A notice that is told again is taken again; whether somebody notices is the channel's own promise.
pub async fn telling_again_is_harmless(channel: &dyn Notifier) {
    let call = notice(1, NEEDED);
    channel.tell(&call, &Before::default()).await.expect("told");
    channel.tell(&call, &Before { told: vec![], in_doubt: true }).await.expect("told again");
}

/// Whatever a notice says, it says it within the channel's limits and in no mark-up of its own.
pub async fn long_and_hostile_words_are_taken(channel: &dyn Notifier) {
    for words in
        ["<!channel> & <https://evil.example|click> *bold*", "", "\r\nBcc: all@evil.example\r\n\r\n.\r\n", "é&<>"]
    {
        let words = words.repeat(if words == "é&<>" { 5_000 } else { 1 });
        let mut hostile = notice(1, NEEDED);
        hostile.title.clone_from(&words);
        hostile.text.clone_from(&words);
        hostile.service = format!("s{words}");
        hostile.facts = (0..40).map(|_| ("name", words.clone())).collect();
        channel.tell(&hostile, &Before::default()).await.expect("told");
    }
}
