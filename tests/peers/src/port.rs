//! Ports for the servers of tests.

use std::net::{Ipv4Addr, TcpListener};
use std::ops::Range;
use std::sync::atomic::{AtomicU32, Ordering};

/// Below those that outgoing connections are given: none of them takes a port between its choice and its use.
const RANGE: Range<u16> = 15_000..30_000;
/// Test binaries that run side by side begin this far apart.
const APART: u32 = 61;

/// Given out by this process.
static GIVEN: AtomicU32 = AtomicU32::new(0);

/// A port on loopback that nobody listens on, another one each time.
pub fn free_port() -> u16 {
    loop {
        let number = std::process::id().wrapping_mul(APART).wrapping_add(GIVEN.fetch_add(1, Ordering::Relaxed));
        let port = RANGE.start + u16::try_from(number % u32::from(RANGE.end - RANGE.start)).expect("within the range");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_that_is_taken() {
        let first = free_port();
        let ahead = (first + 1..RANGE.end).chain(RANGE).take(50);
        let held: Vec<TcpListener> =
            ahead.filter_map(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, port)).ok()).collect();
        let taken: BTreeSet<u16> = held.iter().map(|held| held.local_addr().expect("an address").port()).collect();
        let given: BTreeSet<u16> = (0..100).map(|_| free_port()).collect();
        assert!(!given.contains(&first) && given.is_disjoint(&taken), "{given:?} of {taken:?}");
        assert_eq!(given.iter().filter(|port| RANGE.contains(port)).count(), 100);
    }
}
