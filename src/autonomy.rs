//! Whether anything may be written to a repository: the setting, and the kill switch that people turn at any time.

use std::io;
use std::path::PathBuf;

use serde_json::{Value, json};

/// The setting and the switch. The switch is a file in the data directory: it survives a restart, and anybody who may
/// write there can turn it, whether or not this server answers.
#[derive(Debug, Clone)]
pub struct Autonomy {
    setting: bool,
    switch: PathBuf,
}

impl Autonomy {
    /// With the setting, and the path of the file that switches autonomy off while it exists.
    pub fn new(setting: bool, switch: PathBuf) -> Self {
        Self { setting, switch }
    }

    /// Whether a repository may be written to now. A switch that cannot be looked at is off.
    pub fn may_write(&self) -> bool {
        self.setting && matches!(self.switch.try_exists(), Ok(false))
    }

    /// Turns the switch.
    ///
    /// # Errors
    /// When the file cannot be written or removed.
    pub fn set(&self, enabled: bool) -> io::Result<()> {
        if !enabled {
            return std::fs::write(&self.switch, "autonomy is off: remove this file, or run `sre-space autonomy on`\n");
        }
        match std::fs::remove_file(&self.switch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Contract: `GET /api/v1/autonomy`.
    pub fn status(&self) -> Value {
        let why = match (self.setting, self.switch.try_exists()) {
            (false, _) => "SRE_SPACE_AUTONOMY is off".to_owned(),
            (true, Ok(true)) => format!("the kill switch {} is there", self.switch.display()),
            (true, Ok(false)) => "nothing holds it back; policy and each service's own rules still decide".to_owned(),
            (true, Err(error)) => format!("the kill switch {} cannot be looked at: {error}", self.switch.display()),
        };
        json!({"enabled": self.may_write(), "why": why})
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_switch_is_kept_on_disk() {
        let dir = tempfile::tempdir().expect("a folder");
        let autonomy = || Autonomy::new(true, dir.path().join("autonomy-off"));
        assert!(autonomy().may_write());
        autonomy().set(false).expect("written");
        assert!(!autonomy().may_write(), "also after a restart");
        autonomy().set(true).expect("removed");
        autonomy().set(true).expect("nothing to remove");
        assert!(autonomy().may_write());
        assert!(!Autonomy::new(false, dir.path().join("autonomy-off")).may_write());
    }

    #[test]
    fn a_switch_that_cannot_be_looked_at_is_off() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        assert!(!Autonomy::new(true, file.path().join("below-a-file")).may_write());
    }
}
