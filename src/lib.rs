//! SRE-Space: from a failing span to a proven fix.
//!
//! The server: settings, wiring, HTTP, the incident loop and its tasks. Decisions live on the floors below, in
//! `sre-space-domain` and `sre-space-agents`.

pub mod app;
pub mod autonomy;
mod calm;
pub mod cli;
pub mod coherence;
pub mod config;
pub mod crew;
mod hex;
mod host;
mod http;
pub mod ingest;
pub mod monitor;
pub mod notices;
pub mod orchestrator;
pub mod replay;
pub mod sentinel;
pub mod signals;
pub mod watch;
