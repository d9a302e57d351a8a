//! Channels: where people are told what becomes of an incident.
//!
//! URLs and secrets come from settings alone. Nothing that is sent follows a redirect, waits for more than [`PATIENCE`], or puts
//! a secret into an error: the addresses of Slack's webhooks are secrets themselves.

pub mod log;
pub mod pagerduty;
pub mod slack;
pub mod smtp;
pub mod webhook;
mod wire;

use std::time::Duration;

/// What one request may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// The same for what may be empty, where the other side refuses nothing at all.
fn said(text: &str, most: usize) -> String {
    if text.trim().is_empty() { "-".to_owned() } else { cut(text, most) }
}

/// The first so many characters, and a sign where something was cut off.
fn cut(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most.saturating_sub(1)).collect();
    format!("{kept}…")
}
