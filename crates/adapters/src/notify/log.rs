//! The log of this process: always there, and the last to fail.

use async_trait::async_trait;
use sre_space_ports::notify::{Before, Notice, Notifier, NotifyError, What};
use tracing::{info, warn};

/// Writes each notice as one line with fields.
pub struct LogNotifier;

#[async_trait]
impl Notifier for LogNotifier {
    fn name(&self) -> &'static str {
        "log"
    }

    fn carries(&self, _notice: &Notice, _before: &Before) -> bool {
        true
    }

    async fn tell(&self, notice: &Notice, _before: &Before) -> Result<Option<String>, NotifyError> {
        let Notice { subject, step, service, state, title, text, page, .. } = notice;
        match notice.what {
            What::Call(_) | What::Risk => {
                warn!(subject, step, service, state, title, text, page, "a person is needed");
            }
            What::Opened | What::Moved | What::Decided | What::Over => {
                info!(subject, step, service, state, title, text, page, "notice");
            }
        }
        Ok(None)
    }

    async fn look(&self) -> Result<String, NotifyError> {
        Ok("every notice is a line of this process's log".to_owned())
    }
}
