//! How much is held and decoded at once. What does not fit is refused before work is done, never queued: a sender that
//! is told to come back keeps its data, a queue here would only keep it for him in our memory.

use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{Semaphore, SemaphorePermit};

use super::refusal::Refusal;

/// Bodies decoded and published at the same time.
const MOST_IN_FLIGHT: usize = 8;
/// Bytes of all bodies in hand, as they arrived and as they were inflated.
const MOST_HELD: usize = 24 * 1024 * 1024;

/// Room for requests.
#[derive(Debug)]
pub struct Admission {
    slots: Semaphore,
    free: AtomicUsize,
}

impl Default for Admission {
    fn default() -> Self {
        Self::new(MOST_IN_FLIGHT, MOST_HELD)
    }
}

impl Admission {
    /// Room for `in_flight` bodies at once and `bytes` of all bodies together.
    pub fn new(in_flight: usize, bytes: usize) -> Self {
        Self { slots: Semaphore::new(in_flight), free: AtomicUsize::new(bytes) }
    }

    /// Room to decode one body while the permit lives.
    pub fn enter(&self) -> Result<SemaphorePermit<'_>, Refusal> {
        self.slots.try_acquire().map_err(|_| Refusal::Busy)
    }

    /// An account of the bytes one request holds; they are free again when it is dropped.
    pub fn account(&self) -> Held<'_> {
        Held { admission: self, bytes: 0 }
    }
}

/// The bytes one request holds.
#[derive(Debug)]
pub struct Held<'a> {
    admission: &'a Admission,
    bytes: usize,
}

impl Held<'_> {
    /// Takes room for more bytes. It is taken as they arrive and not as announced, since announcing costs a sender
    /// nothing.
    pub fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let take = |free: usize| free.checked_sub(bytes);
        self.admission.free.fetch_update(Ordering::Relaxed, Ordering::Relaxed, take).map_err(|_| Refusal::Busy)?;
        self.bytes += bytes;
        Ok(())
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.admission.free.fetch_add(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_free_again_when_a_request_is_over() {
        let admission = Admission::new(1, 10);
        let mut first = admission.account();
        first.grow(6).expect("room");
        assert!(matches!(admission.account().grow(5), Err(Refusal::Busy)));
        first.grow(4).expect("room for the rest");
        assert!(first.grow(1).is_err());
        drop(first);
        admission.account().grow(10).expect("all of it");
    }

    #[test]
    fn one_more_than_the_slots_is_refused() {
        let admission = Admission::new(2, 0);
        let first = (admission.enter().expect("a slot"), admission.enter().expect("a slot"));
        assert!(matches!(admission.enter(), Err(Refusal::Busy)));
        drop(first);
        assert!(admission.enter().is_ok());
    }
}
