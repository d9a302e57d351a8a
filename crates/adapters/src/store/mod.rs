//! Stores.

pub mod signals;
pub mod sql;
pub mod supabase;
