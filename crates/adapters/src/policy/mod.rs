//! Backends of the policy port.

mod cedar;
mod withheld;

pub use self::cedar::{CedarPolicy, texts_in};
pub use self::withheld::Withheld;
