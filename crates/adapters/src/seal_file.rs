//! The key that lessons are sealed with: a file in the data folder, made at the first start, for the owner's eyes only.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use ring::rand::{SecureRandom as _, SystemRandom};
use sre_space_domain::seal::SealKey;
use thiserror::Error;

/// Bits of the mode that give others a look.
const OTHERS: u32 = 0o077;
/// A longer file is no key.
const MOST_BYTES: u64 = 1_024;

/// Why there is no key.
#[derive(Debug, Error)]
pub enum SealFileError {
    /// It cannot be read or made.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Others can read it, so that others may have sealed what is in the memory.
    #[error("{0} can be read by others: chmod 600 it, or delete it and nothing that was learned is acted on")]
    Open(PathBuf),
    /// It holds something else.
    #[error("{0} does not hold 64 hexadecimal digits: delete it and nothing that was learned is acted on")]
    NotAKey(PathBuf),
    /// The system has no random numbers.
    #[error("the system has no random numbers for a key")]
    NoChance,
}

/// Reads the key, or makes one.
pub fn open(path: &Path) -> Result<SealKey, SealFileError> {
    let io = |source| SealFileError::Io { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => read(file, path),
        Err(error) if error.kind() == ErrorKind::NotFound => make(path),
        Err(error) => Err(io(error)),
    }
}

fn read(file: File, path: &Path) -> Result<SealKey, SealFileError> {
    let io = |source| SealFileError::Io { path: path.to_owned(), source };
    if file.metadata().map_err(io)?.mode() & OTHERS != 0 {
        return Err(SealFileError::Open(path.to_owned()));
    }
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).map_err(io)?;
    SealKey::try_from(text.trim()).map_err(|_| SealFileError::NotAKey(path.to_owned()))
}

/// It has its name only once all of it is on the disk.
fn make(path: &Path) -> Result<SealKey, SealFileError> {
    let io = |source| SealFileError::Io { path: path.to_owned(), source };
    let mut bytes = [0; 32];
    SystemRandom::new().fill(&mut bytes).map_err(|_| SealFileError::NoChance)?;
    let text: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let unfinished = path.with_extension(format!("{}.new", std::process::id()));
    let mut file =
        OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&unfinished).map_err(io)?;
    file.write_all(text.as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
    let named = std::fs::hard_link(&unfinished, path);
    std::fs::remove_file(&unfinished).map_err(io)?;
    match named {
        // Somebody else was quicker; there is one key.
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read(File::open(path).map_err(io)?, path),
        Err(error) => Err(io(error)),
        Ok(()) => Ok(SealKey::from(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_key_is_made_once_and_for_the_owner_only() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("memory.key");
        open(&path).expect("a new key");
        let text = std::fs::read_to_string(&path).expect("the file");
        assert_eq!(std::fs::metadata(&path).expect("the file").mode() & 0o777, 0o600);
        open(&path).expect("the same key");
        assert_eq!(std::fs::read_to_string(&path).expect("the file"), text);
        assert_eq!(std::fs::read_dir(dir.path()).expect("the folder").count(), 1, "nothing is left beside it");
        let other = dir.path().join("other.key");
        open(&other).expect("another");
        assert_ne!(std::fs::read_to_string(&other).expect("the file"), text);
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("memory.key");
        open(&path).expect("a new key");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o640)).expect("a mode");
        assert!(matches!(open(&path), Err(SealFileError::Open(_))));
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).expect("a mode");
        std::fs::write(&path, "too short").expect("written");
        assert!(matches!(open(&path), Err(SealFileError::NotAKey(_))));
    }
}
