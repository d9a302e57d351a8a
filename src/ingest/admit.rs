//! How much is decoded at once: refused before work is done, never queued.

use tokio::sync::{Semaphore, SemaphorePermit};

/// Bodies decoded at the same time; with 4 MiB each, 32 MiB in all.
const MOST_IN_FLIGHT: usize = 8;

/// Room for decoding.
pub struct Admission {
    room: Semaphore,
}

impl Default for Admission {
    fn default() -> Self {
        Self { room: Semaphore::new(MOST_IN_FLIGHT) }
    }
}

impl Admission {
    /// Room for one body while the permit lives; `None` when there is none.
    pub fn enter(&self) -> Option<SemaphorePermit<'_>> {
        self.room.try_acquire().ok()
    }
}
