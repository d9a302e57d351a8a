//! The Variance Sentinel inside the server: it looks at the hosts that a source tells of, and what it vetoes is a fact that
//! Guardrail asks about. It advises; it has nothing to write with.

mod asking;
mod hosts;
mod lookout;

pub use self::asking::Asking;
pub use self::hosts::Hosts;
pub use self::lookout::{Lookout, Standing};
