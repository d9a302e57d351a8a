//! Quantiles of any number of samples in bounded memory, mergeable: what many hosts or minutes saw, without keeping it.

use std::fmt;

use sketches_ddsketch::{Config, DDSketch};

use crate::undefined::{Undefined, enough};

/// A quantile is told within this share of the sample there.
pub const RELATIVE_ERROR: f64 = 0.01;
/// Bins at most, for each sign: at the relative error they cover 17 powers of ten; what is smaller still is told too large.
const BINS: u32 = 2_048;
/// Nearer to 0 than this is 0.
const SMALLEST: f64 = 1e-9;
/// Larger ones are taken as this: a finite bound keeps a sum finite.
const LARGEST: f64 = 1e300;

/// DDSketch: Masson, Rim and Lee, *DDSketch: a fast and fully-mergeable quantile sketch with relative-error guarantees*, PVLDB
/// 12(12), 2019.
#[derive(Clone)]
pub struct Sketch(DDSketch);

impl fmt::Debug for Sketch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sketch").field("count", &self.count()).finish_non_exhaustive()
    }
}

impl Default for Sketch {
    fn default() -> Self {
        Self(DDSketch::new(Config::new(RELATIVE_ERROR, BINS, SMALLEST)))
    }
}

impl Sketch {
    /// Takes one more sample in; one that is not finite is refused and changes nothing.
    pub fn add(&mut self, value: f64) -> Result<(), Undefined> {
        if !value.is_finite() {
            return Err(Undefined::NotFinite);
        }
        self.0.add(value.clamp(-LARGEST, LARGEST));
        Ok(())
    }

    /// Takes all samples of another in: the same as if each had been added here.
    pub fn merge(&mut self, other: &Self) -> Result<(), Undefined> {
        self.0.merge(&other.0).map_err(|_| Undefined::BadArgument)
    }

    /// How many samples it has taken in.
    pub fn count(&self) -> usize {
        self.0.count()
    }

    /// The sample below which a `share` (0.0..=1.0) of all lies, within [`RELATIVE_ERROR`].
    pub fn quantile(&self, share: f64) -> Result<f64, Undefined> {
        if !(0.0..=1.0).contains(&share) {
            return Err(Undefined::BadArgument);
        }
        enough(self.count(), 1)?;
        self.0.quantile(share).ok().flatten().ok_or(Undefined::BadArgument)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sketch(values: &[f64]) -> Sketch {
        let mut sketch = Sketch::default();
        values.iter().try_for_each(|value| sketch.add(*value)).expect("finite values");
        sketch
    }

    #[test]
    fn what_cannot_be_known_is_named() {
        let mut none = Sketch::default();
        assert_eq!(
            (none.quantile(0.5), none.quantile(1.5)),
            (Err(Undefined::TooFew { has: 0, needs: 1 }), Err(Undefined::BadArgument))
        );
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!((none.add(bad), none.count()), (Err(Undefined::NotFinite), 0));
        }
        assert_eq!((sketch(&[0.0]).quantile(0.5), sketch(&[f64::MAX, f64::MIN]).count()), (Ok(0.0), 2));
    }

    proptest! {
        #[test]
        fn quantiles_keep_their_error_merged_in_any_way(
            mut values in prop::collection::vec(prop_oneof![-1e6_f64..-1e-3, 1e-3_f64..1e6], 1..500),
            share in 0.0_f64..=1.0, cut in any::<prop::sample::Index>()
        ) {
            let cut = cut.index(values.len());
            let mut merged = sketch(&values[cut..]);
            merged.merge(&sketch(&values[..cut])).expect("one configuration");
            let whole = sketch(&values);
            prop_assert_eq!((merged.count(), merged.quantile(share)), (whole.count(), whole.quantile(share)));
            values.sort_by(f64::total_cmp);
            let place = share * (values.len() - 1) as f64;
            let found = whole.quantile(share).expect("a quantile");
            let near = |at: usize| (found - values[at]).abs() <= (RELATIVE_ERROR + 1e-9) * values[at].abs();
            prop_assert!(near(place.floor() as usize) || near(place.ceil() as usize), "{found} {place} {values:?}");
        }
    }
}
