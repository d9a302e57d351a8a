//! The one integration binary: house rules, and whole loops against real processes.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod analysis;
mod attempts;
mod export;
mod files;
mod loops;
mod model;
mod notices;
mod senses;
mod sentinel;
mod sources;
mod tidy;
