//! How often the first message of a partition was delivered, over restarts: a small file for each topic and group.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The first message that a feed was given of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct First {
    offset: i64,
    times: u32,
}

/// The file.
pub(super) struct Tally {
    file: PathBuf,
}

impl Tally {
    /// The tally of a group in a folder.
    pub fn new(folder: &Path, group: &str) -> Self {
        Self { file: folder.join(format!("{group}.deliveries.json")) }
    }

    /// Counts a delivery before it is made; how many there are with it. A file that cannot be read counts from one.
    pub fn count(&self, partition: i32, offset: i64) -> io::Result<u32> {
        let written = std::fs::read(&self.file).unwrap_or_default();
        let mut firsts: BTreeMap<i32, First> = serde_json::from_slice(&written).unwrap_or_default();
        let before = firsts.get(&partition).filter(|first| first.offset == offset).map_or(0, |first| first.times);
        firsts.insert(partition, First { offset, times: before + 1 });
        let draft = self.file.with_extension("new");
        std::fs::write(&draft, serde_json::to_vec(&firsts)?)?;
        std::fs::rename(draft, &self.file)?;
        Ok(before + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_first_message_is_counted_on_and_another_one_anew() {
        let dir = tempfile::tempdir().expect("a folder");
        let count = |partition, offset| Tally::new(dir.path(), "scout").count(partition, offset).expect("written");
        assert_eq!([count(0, 7), count(0, 7), count(1, 7), count(0, 7)], [1, 2, 1, 3]);
        assert_eq!([count(0, 9), count(0, 7)], [1, 1]);
        std::fs::write(dir.path().join("scout.deliveries.json"), b"{").expect("written");
        assert_eq!(count(0, 7), 1);
    }
}
