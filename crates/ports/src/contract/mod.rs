//! What every backend of a port must pass.

/// The forge.
pub mod forge;
