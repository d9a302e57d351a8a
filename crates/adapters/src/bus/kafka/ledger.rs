//! What is on its way through the brokers: published here and not read back here yet.
//!
//! A broker that stops answering is noticed late, and a consumer that was expelled meanwhile takes seconds to join again. What
//! counts is whether messages arrive: one that is on its way for longer than [`LATE`] says that they do not. One control plane
//! reads a group, as the store sees to.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// How long a message may be on its way before something is wrong.
const LATE: Duration = Duration::from_secs(2);
/// Most messages of one partition that are followed; beyond, the newest are not.
const MOST: usize = 10_000;

/// Offsets with the time they were published at, oldest first.
type Unread = VecDeque<(i64, Instant)>;

#[derive(Default)]
struct Books {
    /// Messages whose delivery the brokers have not confirmed, by the number they were given here.
    unconfirmed: BTreeMap<u64, Instant>,
    last: u64,
    /// By group of a topic, and partition.
    unread: BTreeMap<(String, i32), Unread>,
    groups: BTreeMap<&'static str, Vec<String>>,
}

/// The ledger of one bus.
#[derive(Default)]
pub(super) struct Ledger(Mutex<Books>);

impl Ledger {
    fn books(&self) -> MutexGuard<'_, Books> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on a group reads a topic here.
    pub fn joined(&self, topic: &'static str, group: &str) {
        let mut books = self.books();
        let groups = books.groups.entry(topic).or_default();
        if !groups.iter().any(|known| known == group) {
            groups.push(group.to_owned());
        }
    }

    /// The group is not read here any more.
    pub fn left(&self, topic: &'static str, group: &str) {
        let mut books = self.books();
        books.groups.entry(topic).or_default().retain(|known| known != group);
        books.unread.retain(|(known, _), _| known != group);
    }

    /// A message goes out; answers its number.
    pub fn sent(&self) -> u64 {
        let mut books = self.books();
        books.last += 1;
        let number = books.last;
        books.unconfirmed.insert(number, Instant::now());
        number
    }

    /// What became of it: where it is, or `None` when it is lost.
    pub fn confirmed(&self, number: u64, topic: &'static str, place: Option<(i32, i64)>) {
        let mut books = self.books();
        let sent = books.unconfirmed.remove(&number);
        let (Some(at), Some((partition, offset))) = (sent, place) else { return };
        for group in books.groups.get(topic).cloned().unwrap_or_default() {
            let unread = books.unread.entry((group, partition)).or_default();
            if unread.len() < MOST {
                unread.push_back((offset, at));
            }
        }
    }

    /// A group has read a message.
    pub fn read(&self, group: &str, partition: i32, offset: i64) {
        let mut books = self.books();
        if let Some(unread) = books.unread.get_mut(&(group.to_owned(), partition)) {
            // Confirmations of one partition need not come in order.
            unread.retain(|(other, _)| *other > offset);
        }
    }

    /// How many messages are on their way, and how long the oldest has been if that is too long.
    pub fn on_their_way(&self) -> (usize, Option<Duration>) {
        let books = self.books();
        let count = books.unconfirmed.len() + books.unread.values().map(VecDeque::len).sum::<usize>();
        let unread = books.unread.values().flat_map(|unread| unread.iter().map(|(_, at)| at));
        let oldest = books.unconfirmed.values().chain(unread).min();
        (count, oldest.map(Instant::elapsed).filter(|age| *age > LATE))
    }
}

#[cfg(test)]
mod tests {
    use tokio::time::advance;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_on_its_way_for_too_long_is_late_wherever_it_is() {
        let ledger = Ledger::default();
        ledger.joined("otlp_spans", "scout");
        let first = ledger.sent();
        advance(LATE).await;
        assert_eq!(ledger.on_their_way(), (1, None));
        advance(Duration::from_secs(1)).await;
        assert_eq!(ledger.on_their_way(), (1, Some(LATE + Duration::from_secs(1))), "the brokers are silent");
        ledger.confirmed(first, "otlp_spans", Some((3, 7)));
        assert_eq!(ledger.on_their_way(), (1, Some(LATE + Duration::from_secs(1))), "the consumer is");
        ledger.read("scout", 3, 7);
        assert_eq!(ledger.on_their_way(), (0, None));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_what_is_lost_or_has_no_reader() {
        let ledger = Ledger::default();
        ledger.joined("otlp_spans", "scout");
        ledger.confirmed(ledger.sent(), "otlp_spans", None);
        ledger.confirmed(ledger.sent(), "sre.signals", Some((0, 1)));
        ledger.confirmed(ledger.sent(), "otlp_spans", Some((0, 1)));
        assert_eq!(ledger.on_their_way().0, 1);
        ledger.left("otlp_spans", "scout");
        assert_eq!(ledger.on_their_way(), (0, None));
    }
}
