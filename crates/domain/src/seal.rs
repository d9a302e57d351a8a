//! Seals on lessons: whoever can write to the memory's server cannot make this control plane act.
//!
//! A seal is HMAC-SHA256 over all of a lesson under a key that only this control plane has. It is set after a recovery was
//! verified here, and looked at before a lesson is acted on.

use std::fmt;

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use thiserror::Error;

use crate::knowledge::Lesson;

/// What is sealed is said in the seal, so that nothing else signed with the key passes for a lesson.
const PURPOSE: &[u8] = b"sre-space lesson 1\n";

/// A seal, as 64 hexadecimal digits.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seal(String);

/// A key is 32 bytes, written as 64 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a key is 64 hexadecimal digits")]
pub struct NotAKey;

/// The key of one control plane. Never shown.
#[derive(Clone)]
pub struct SealKey([u8; 32]);

impl fmt::Debug for SealKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SealKey(***)")
    }
}

impl From<[u8; 32]> for SealKey {
    fn from(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

impl TryFrom<&str> for SealKey {
    type Error = NotAKey;

    fn try_from(text: &str) -> Result<Self, NotAKey> {
        let bytes = bytes(text).ok_or(NotAKey)?;
        bytes.try_into().map(Self).map_err(|_| NotAKey)
    }
}

impl SealKey {
    /// The seal of a lesson as it is.
    pub fn seal(&self, lesson: &Lesson) -> Option<Seal> {
        let sealed = self.over(lesson)?.finalize().into_bytes();
        Some(Seal(sealed.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// Whether a lesson is, byte for byte, one that was sealed with this key.
    pub fn holds(&self, lesson: &Lesson) -> bool {
        let sent = lesson.seal.as_ref().and_then(|seal| bytes(&seal.0));
        sent.zip(self.over(lesson)).is_some_and(|(sent, over)| over.verify_slice(&sent).is_ok())
    }

    fn over(&self, lesson: &Lesson) -> Option<Hmac<Sha256>> {
        let bare = Lesson { seal: None, ..lesson.clone() };
        let text = serde_json::to_vec(&bare).ok()?;
        Some(Hmac::<Sha256>::new_from_slice(&self.0).ok()?.chain_update(PURPOSE).chain_update(text))
    }
}

fn bytes(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    let bytes = pairs.iter().map(|[high, low]| Some(digit(high)? << 4 | digit(low)?)).collect();
    if rest.is_empty() { bytes } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::diagnosis::FaultKind;
    use crate::ids::Sha;
    use crate::knowledge::{Origin, Signature};
    use crate::proposal::Remedy;

    fn lesson() -> Lesson {
        let signature = Signature {
            service: "shop".into(),
            operation: "GET /".into(),
            kind: FaultKind::BadChange,
            facts: vec!["fails-alone".into()],
        };
        Lesson {
            incident: serde_json::from_str(r#""inc_1""#).expect("an id"),
            signature,
            remedy: Remedy::Revert { service: "shop".into(), commit: Sha("ab".into()) },
            at_ms: 7,
            postmortem: "it broke".into(),
            origin: Origin::Verified { revision: None, samples: 120, statistic: -4.7, threshold: -4.6 },
            seal: None,
        }
    }

    #[test]
    fn a_seal_holds_for_the_very_lesson_and_key() {
        let (key, other) = (SealKey::from([1; 32]), SealKey::from([2; 32]));
        let sealed = Lesson { seal: key.seal(&lesson()), ..lesson() };
        assert!(key.holds(&sealed));
        let read: Lesson = serde_json::from_str(&serde_json::to_string(&sealed).expect("JSON")).expect("a lesson");
        assert!(key.holds(&read), "it survives being stored");
        let remedy = Remedy::Revert { service: "shop".into(), commit: Sha("ac".into()) };
        let signature = Signature { operation: "GET  /".into(), ..lesson().signature };
        let forged = [
            lesson(),
            Lesson { seal: other.seal(&lesson()), ..lesson() },
            Lesson { seal: Some(Seal(String::new())), ..lesson() },
            Lesson { seal: Some(Seal("not hexadecimal".into())), ..lesson() },
            Lesson { remedy, ..sealed.clone() },
            Lesson { signature, ..sealed.clone() },
            Lesson { at_ms: 8, ..sealed.clone() },
            Lesson { postmortem: "it broke!".into(), ..sealed.clone() },
            Lesson { origin: Origin::Imported, ..sealed.clone() },
        ];
        for lesson in forged {
            assert!(!key.holds(&lesson), "{lesson:?}");
        }
    }

    #[test]
    fn a_key_is_64_digits_and_is_never_shown() {
        let key = SealKey::try_from("0f".repeat(32).as_str()).expect("a key");
        assert_eq!(format!("{key:?}"), "SealKey(***)");
        for wrong in ["", "0f", &"0f".repeat(33), &"0g".repeat(32)] {
            assert!(SealKey::try_from(wrong).is_err(), "{wrong}");
        }
    }
}
