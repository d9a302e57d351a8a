//! Median, quantiles and median absolute deviation of the last so many samples.

use std::collections::VecDeque;

use crate::robust::{Fences, Robust};
use crate::undefined::{Undefined, enough, summed};

/// The longest window: a day of samples, one a second.
pub const LONGEST: usize = 86_400;

/// The last `window` samples, also in rising order. A new one costs two binary searches and the shift of at most `window` numbers
/// (half a microsecond at 4,096); the median costs nothing, the median absolute deviation O(log n).
#[derive(Debug, Clone, PartialEq)]
pub struct Rolling {
    window: usize,
    recent: VecDeque<f64>,
    sorted: Vec<f64>,
}

impl Rolling {
    /// Over this many samples, 1..=[`LONGEST`].
    pub fn new(window: usize) -> Result<Self, Undefined> {
        if !(1..=LONGEST).contains(&window) {
            return Err(Undefined::BadArgument);
        }
        Ok(Self { window, recent: VecDeque::new(), sorted: Vec::new() })
    }

    /// Takes one more sample in and lets the oldest go once the window is full; one that is not finite is refused and
    /// changes nothing.
    pub fn add(&mut self, value: f64) -> Result<(), Undefined> {
        if !value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        if self.is_full() {
            self.forget_oldest();
        }
        self.recent.push_back(value);
        let at = self.sorted.partition_point(|other| other.total_cmp(&value).is_lt());
        self.sorted.insert(at, value);
        Ok(())
    }

    /// How many samples it holds.
    pub fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// Whether it holds as many as its window.
    pub fn is_full(&self) -> bool {
        self.sorted.len() == self.window
    }

    /// The samples in rising order.
    pub fn sorted(&self) -> &[f64] {
        &self.sorted
    }

    /// The samples, oldest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = f64> + ExactSizeIterator + '_ {
        self.recent.iter().copied()
    }

    /// [`crate::robust::quantile`] of the window.
    pub fn quantile(&self, share: f64) -> Result<f64, Undefined> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Undefined::BadArgument);
        }
        enough(self.len(), 1)?;
        let place = share * (self.len() - 1) as f64;
        let (low, part) = (self.sorted[place as usize], place.fract());
        let high = self.sorted.get(place as usize + 1).copied().unwrap_or(low);
        summed(if part == 0.0 { low } else { low * (1.0 - part) + high * part })
    }

    /// Median and median absolute deviation of the window.
    pub fn robust(&self) -> Result<Robust, Undefined> {
        let median = self.quantile(0.5)?;
        let rank = (self.len() - 1) / 2;
        let low = self.distance(median, rank);
        let mad = if self.len() % 2 == 1 { low } else { low * 0.5 + self.distance(median, rank + 1) * 0.5 };
        Ok(Robust { median, mad: summed(mad)? })
    }

    /// [`Fences`] of the window.
    pub fn fences(&self, reach: f64) -> Result<Fences, Undefined> {
        if !(reach.is_finite() && reach >= 0.0) {
            return Err(Undefined::BadArgument);
        }
        let (q1, q3) = (self.quantile(0.25)?, self.quantile(0.75)?);
        let width = summed(reach * (q3 - q1))?;
        Ok(Fences { q1, q3, lower: summed(q1 - width)?, upper: summed(q3 + width)? })
    }

    fn forget_oldest(&mut self) {
        let Some(oldest) = self.recent.pop_front() else { return };
        let at = self.sorted.partition_point(|other| other.total_cmp(&oldest).is_lt());
        self.sorted.remove(at);
    }

    /// The distance from `median` that has `rank` smaller ones: the `rank + 1` nearest samples stand side by side in rising order, so
    /// that their first is found by halving.
    fn distance(&self, median: f64, rank: usize) -> f64 {
        let (mut from, mut until) = (0, self.len() - 1 - rank);
        while from < until {
            let first = usize::midpoint(from, until);
            // The run moves right as long as what it gains there is nearer than what it loses here.
            if median - self.sorted[first] > self.sorted[first + rank + 1] - median {
                from = first + 1;
            } else {
                until = first;
            }
        }
        (median - self.sorted[from]).abs().max((self.sorted[from + rank] - median).abs())
    }
}

#[cfg(test)]
mod tests;
