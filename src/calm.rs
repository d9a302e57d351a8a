//! What calm times look like, over a restart: the newest spans of them, in a file of the data folder.
//!
//! A control plane that is killed while something breaks comes back to nothing but broken requests: it could not say what is
//! usual, since when a revision serves, or what a callee takes when it is well. So the plain OTLP batches of a few calm seconds
//! are written down now and then, and told to Scout again at the start. A record is the receive time (eight bytes, milliseconds
//! since the Unix epoch), the length (four bytes, big-endian) and the batch.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use sre_space_ports::bus::Message;

/// Most bytes of batches that are held and written.
const MOST_BYTES: usize = 1024 * 1024;
/// Batches older than this are not held, and none this old are told again, milliseconds.
const HELD_MS: i64 = 60_000;
const TOLD_AGAIN_MS: i64 = 900_000;
/// The newest batches may already belong to a failure that nobody suspects yet, milliseconds.
const DOUBTFUL_MS: i64 = 3_000;
/// What is held stays at least this long, milliseconds: of more than fits, single moments are held whole, and each of them
/// becomes old enough to be trusted.
const KEPT_MS: i64 = 2 * DOUBTFUL_MS;
/// Time between two writings, milliseconds; a sample that has grown by half since is written at once.
const EVERY_MS: i64 = 10_000;

/// One batch, and when it was received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Milliseconds since the Unix epoch.
    pub received_ms: i64,
    /// Plain OTLP.
    pub body: Bytes,
}

/// The newest batches, and the file they are written to.
pub struct CalmTimes {
    file: PathBuf,
    held: VecDeque<Heard>,
    bytes: usize,
    written_ms: i64,
    written: usize,
}

impl CalmTimes {
    /// Nothing held yet.
    pub fn new(data_dir: &Path) -> Self {
        Self { file: data_dir.join("calm.otlp"), held: VecDeque::new(), bytes: 0, written_ms: 0, written: 0 }
    }

    /// Takes a batch, if there is room or old ones can make it. What is held is a copy: a batch is a part of the buffer its
    /// connection reads into, and would keep all of that.
    pub fn take(&mut self, message: &Message) {
        let now_ms = message.received_ms;
        let too_much = |bytes: usize| bytes + message.body.len() > MOST_BYTES;
        while let Some(first) = self.held.front()
            && (first.received_ms < now_ms - HELD_MS || (too_much(self.bytes) && first.received_ms < now_ms - KEPT_MS))
        {
            self.bytes -= first.body.len();
            self.held.pop_front();
        }
        if !too_much(self.bytes) {
            self.bytes += message.body.len();
            self.held.push_back(Heard { received_ms: now_ms, body: Bytes::copy_from_slice(&message.body) });
        }
    }

    /// What is to be written now; `None` before it is time, or with nothing to write.
    pub fn due(&mut self, now_ms: i64) -> Option<Vec<u8>> {
        let sure = || self.held.iter().filter(|heard| heard.received_ms <= now_ms - DOUBTFUL_MS);
        let bytes: usize = sure().map(|heard| heard.body.len()).sum();
        let is_time = now_ms - self.written_ms >= EVERY_MS || 2 * bytes >= 3 * self.written;
        if !is_time || bytes == 0 {
            return None;
        }
        let records = sure().flat_map(record).collect();
        (self.written_ms, self.written) = (now_ms, bytes);
        Some(records)
    }

    /// Puts the records in place of those written before; a crash leaves the one or the other.
    pub async fn write(&self, records: Vec<u8>) -> io::Result<()> {
        let draft = self.file.with_extension("new");
        tokio::fs::write(&draft, records).await?;
        tokio::fs::rename(draft, &self.file).await
    }

    /// What was written before the start, unless it is too old. A file that is not there or cut short tells what it can.
    pub fn read(&self, now_ms: i64) -> Vec<Heard> {
        let written = std::fs::read(&self.file).unwrap_or_default();
        let recent = |heard: &Heard| now_ms - heard.received_ms <= TOLD_AGAIN_MS;
        records(&written).into_iter().filter(recent).collect()
    }
}

fn record(heard: &Heard) -> Vec<u8> {
    let length = u32::try_from(heard.body.len()).unwrap_or(u32::MAX);
    [&heard.received_ms.to_be_bytes()[..], &length.to_be_bytes(), &heard.body].concat()
}

fn records(mut written: &[u8]) -> Vec<Heard> {
    let mut heard = Vec::new();
    while let Some((at, rest)) = written.split_first_chunk::<8>()
        && let Some((length, rest)) = rest.split_first_chunk::<4>()
        && let Some((body, rest)) = rest.split_at_checked(u32::from_be_bytes(*length) as usize)
    {
        heard.push(Heard { received_ms: i64::from_be_bytes(*at), body: Bytes::copy_from_slice(body) });
        written = rest;
    }
    heard
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(received_ms: i64, bytes: usize) -> Message {
        Message { key: String::new(), source: String::new(), received_ms, body: vec![7; bytes].into() }
    }

    #[tokio::test]
    async fn what_is_written_is_read_again_but_not_the_newest_nor_the_old() {
        let dir = tempfile::tempdir().expect("a folder");
        let mut calm = CalmTimes::new(dir.path());
        assert_eq!(calm.read(0), [], "nothing was ever written");
        (0..10).for_each(|second| calm.take(&message(100_000 + second * 1_000, 10)));
        let records = calm.due(110_000).expect("something to write");
        calm.write(records).await.expect("written");
        assert_eq!(calm.due(110_400), None, "it is not time yet");
        (0..4).for_each(|_| calm.take(&message(107_000, 10)));
        assert!(calm.due(110_400).is_some(), "there is half as much again");
        let read = CalmTimes::new(dir.path()).read(120_000);
        assert_eq!((read.len(), read[0].received_ms, read[7].received_ms), (8, 100_000, 107_000));
        assert_eq!(CalmTimes::new(dir.path()).read(100_000 + TOLD_AGAIN_MS + 4_000).len(), 4);
    }

    #[test]
    fn little_is_held_however_much_comes() {
        let mut calm = CalmTimes::new(Path::new("nowhere"));
        let fits = MOST_BYTES / 100_000;
        (0..20_000).for_each(|at| calm.take(&message(at, 100_000)));
        let moment = calm.held.back().expect("a batch").received_ms - calm.held[0].received_ms;
        assert_eq!((calm.held.len(), moment), (fits, fits as i64 - 1), "one moment, whole");
        assert!(calm.held[0].received_ms >= 20_000 - KEPT_MS - 1, "{}", calm.held[0].received_ms);
        calm.take(&message(20_000, 2 * MOST_BYTES));
        assert_eq!(calm.held.len(), fits, "one that is too large is not held");
        calm.take(&message(20_001 + HELD_MS, 10));
        assert_eq!((calm.bytes, calm.held.len()), (10, 1));
    }

    #[test]
    fn a_torrent_too_leaves_something_to_write() {
        let mut calm = CalmTimes::new(Path::new("nowhere"));
        let mut writings = 0;
        for at in 0..600_000 {
            calm.take(&message(at / 10, 100_000));
            if at % 2_000 == 0 {
                writings += calm.due(at / 10).map_or(0, |records| usize::from(records.len() > MOST_BYTES / 2));
            }
        }
        assert!((4..=6).contains(&writings), "{writings} writings in a minute");
    }

    #[test]
    fn a_file_that_is_cut_short_tells_what_it_can() {
        let one = record(&Heard { received_ms: 5, body: Bytes::from_static(b"abc") });
        let two = [one.as_slice(), one.as_slice()].concat();
        for cut in one.len()..two.len() {
            assert_eq!(records(&two[..cut]).len(), 1, "{cut}");
        }
        assert_eq!(records(&two).len(), 2);
    }
}
