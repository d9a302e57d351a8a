//! Backends of the policy port.

mod cedar;

pub use self::cedar::{CedarPolicy, texts_in};
