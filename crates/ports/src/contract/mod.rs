//! What every backend of a port must pass.
