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
    use super::*;

    #[test]
    fn no_port_is_given_twice_and_none_that_is_taken() {
        let first = free_port();
        let held = TcpListener::bind((Ipv4Addr::LOCALHOST, first)).expect("free");
        let others: Vec<u16> = (0..100).map(|_| free_port()).collect();
        assert!(!others.contains(&first) && others.iter().all(|port| RANGE.contains(port)));
        drop(held);
    }
}
