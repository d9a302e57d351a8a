//! The messages a partition brought lately, so that one that was sent again because its confirmation was lost is taken once.
//!
//! A broker's own guard against that ends with the producer's session, and one that is killed may confirm what it did not keep.

use std::collections::VecDeque;

use sre_space_domain::ids::Digest;
use sre_space_ports::bus::Message;

/// How many are remembered; what is sent again follows within the messages that were under way.
const MOST: usize = 1_000;

/// The newest messages of one partition.
#[derive(Default)]
pub(super) struct Recent(VecDeque<(Digest, i64)>);

impl Recent {
    /// Whether this very message came at another offset; one that comes again at its own offset was not acknowledged.
    pub fn is_repeated(&mut self, message: &Message, offset: i64) -> bool {
        let Message { key, source, received_ms, body } = message;
        let mark = Digest::of([key.as_bytes(), source.as_bytes(), &received_ms.to_be_bytes(), body.as_ref()]);
        if let Some((_, known)) = self.0.iter().rev().find(|(known, _)| *known == mark) {
            return *known != offset;
        }
        if self.0.len() == MOST {
            self.0.pop_front();
        }
        self.0.push_back((mark, offset));
        false
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    #[test]
    fn what_is_sent_again_is_repeated_and_what_is_read_again_is_not() {
        let message =
            |ms| Message { key: String::new(), source: String::new(), received_ms: ms, body: Bytes::from_static(b"x") };
        let mut recent = Recent::default();
        let asked = [(1, 0), (2, 1), (1, 2), (1, 0), (2, 3), (3, 4)];
        let repeated = asked.map(|(ms, offset)| recent.is_repeated(&message(ms), offset));
        assert_eq!(repeated, [false, false, true, false, true, false]);
        for offset in 10..2_000 {
            assert!(!recent.is_repeated(&message(offset), offset));
        }
        assert_eq!(recent.0.len(), MOST);
    }
}
