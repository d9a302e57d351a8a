//! The one integration binary: house rules, and whole loops against real processes.

mod tidy;
