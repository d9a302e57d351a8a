//! Why a statistic has no value: said in the type, so that nobody invents a number.

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why a statistic has no value for these samples.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error, Serialize, Deserialize)]
#[serde(tag = "why", rename_all = "kebab-case")]
pub enum Undefined {
    /// There are too few samples.
    #[error("has {has} samples and needs {needs}")]
    TooFew {
        /// How many there are.
        has: usize,
        /// How many it takes.
        needs: usize,
    },
    /// A sample is NaN or infinite.
    #[error("holds a value that is not finite")]
    NotFinite,
    /// The samples (or, for a median absolute deviation, more than half of them) are equal, so that nothing can be measured in
    /// units of their spread.
    #[error("has no spread")]
    NoSpread,
    /// The mean or the start is 0, so that nothing can be told as a share of it.
    #[error("starts from nothing")]
    FromNothing,
    /// The samples are finite and a sum of them is not.
    #[error("is too large to be summed")]
    TooLarge,
    /// An argument lies outside of what it may be, or columns differ in length.
    #[error("is asked for with arguments that make no sense")]
    BadArgument,
}

/// That there are at least `needs` samples.
pub(crate) fn enough(has: usize, needs: usize) -> Result<(), Undefined> {
    if has < needs { Err(Undefined::TooFew { has, needs }) } else { Ok(()) }
}

/// That every sample is finite.
pub(crate) fn all_finite(values: &[f64]) -> Result<(), Undefined> {
    // Without an early exit, so that it is vectorised.
    let finite = values.iter().fold(true, |so_far, value| so_far & value.is_finite());
    if finite { Ok(()) } else { Err(Undefined::NotFinite) }
}

/// That a computed number is finite.
pub(crate) fn summed(value: f64) -> Result<f64, Undefined> {
    if value.is_finite() { Ok(value) } else { Err(Undefined::TooLarge) }
}
