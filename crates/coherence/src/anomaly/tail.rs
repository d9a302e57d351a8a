//! How rare a distance is among those seen before: a histogram in constant memory, its tail fitted by extreme values.

/// Neighbouring bins differ by this factor, so that a distance is known to 1 %.
const STEP: f64 = 1.02;
/// Bins kept: the highest ones, eight powers of ten wide; what is smaller is counted together.
const BINS: usize = 1_024;
/// The tail: this share of the highest distances, and no fewer than so many.
const SHARE: f64 = 0.02;
const FEWEST: f64 = 8.0;
/// The tail is fitted anew after so many distances.
const REFIT: u64 = 16;
/// Heaviest tail believed: a generalised Pareto shape beyond this has hardly a variance.
const HEAVIEST: f64 = 0.4;
/// Weights of new distances grow; they are scaled back here.
const RESCALE: f64 = 1e9;
/// Rarer than this nothing is told to be.
const RAREST: f64 = 300.0;

/// Distances (0 or more) seen so far, the older the less.
///
/// The tail above the 98 % quantile is a generalised Pareto distribution (Pickands, *Statistical inference using extreme order
/// statistics*, Annals of Statistics 3, 1975), fitted by the moments of its excesses (Hosking and Wallis, Technometrics 29, 1987), as
/// Siffer et al. do for streams (*Anomaly detection in streams with extreme value theory*, KDD 2017). Fading by forward decay
/// (Cormode et al., ICDE 2009).
#[derive(Debug, Clone)]
pub(super) struct Tail {
    count: u64,
    growth: f64,
    weight: f64,
    total: f64,
    /// Weights of the bins from `lowest` on.
    bins: Vec<f64>,
    lowest: i64,
    /// Weight of distances of 0 and below the lowest bin.
    beneath: f64,
    fit: Option<Fit>,
}

/// The fitted tail.
#[derive(Debug, Clone, Copy)]
struct Fit {
    /// The tail begins above this bin.
    above: i64,
    threshold: f64,
    /// Share of distances in the tail.
    share: f64,
    scale: f64,
    shape: f64,
}

fn bin(distance: f64) -> Option<i64> {
    (distance > 0.0).then(|| (distance.ln() / STEP.ln()).ceil() as i64)
}

/// The middle of a bin.
fn middle(bin: i64) -> f64 {
    ((bin as f64 - 0.5) * STEP.ln()).exp()
}

impl Tail {
    /// Whose past counts half after so many distances.
    pub(super) fn with_half_life(distances: f64) -> Self {
        let growth = 2.0_f64.powf(1.0 / distances);
        Self { count: 0, growth, weight: 1.0, total: 0.0, bins: Vec::new(), lowest: 0, beneath: 0.0, fit: None }
    }

    /// How many distances it has seen.
    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// The negative decimal logarithm of the share of distances as large as this, 0 where it is not in the tail.
    pub(super) fn rarity(&self, distance: f64) -> f64 {
        let (Some(fit), Some(bin)) = (self.fit, bin(distance)) else { return 0.0 };
        if bin <= fit.above {
            return 0.0;
        }
        let excess = (distance - fit.threshold).max(0.0) / fit.scale;
        let beyond = if fit.shape < 1e-6 { -excess } else { -(fit.shape * excess).ln_1p() / fit.shape };
        (-(fit.share.log10() + beyond / std::f64::consts::LN_10)).clamp(0.0, RAREST)
    }

    /// Takes one more distance in.
    pub(super) fn add(&mut self, distance: f64) {
        match bin(distance) {
            Some(bin) => *self.room_for(bin) += self.weight,
            None => self.beneath += self.weight,
        }
        self.total += self.weight;
        self.count += 1;
        self.weight *= self.growth;
        if self.weight > RESCALE {
            self.scale_back();
        }
        if self.count.is_multiple_of(REFIT) {
            self.fit = self.fitted();
        }
    }

    fn scale_back(&mut self) {
        let weight = self.weight;
        self.bins.iter_mut().for_each(|bin| *bin /= weight);
        self.beneath /= weight;
        self.total /= weight;
        self.weight = 1.0;
    }

    /// The weight of a bin, made if there is none; too small ones are counted together.
    fn room_for(&mut self, bin: i64) -> &mut f64 {
        if self.bins.is_empty() {
            self.lowest = bin;
        }
        let highest = self.lowest + self.bins.len() as i64 - 1;
        if bin > highest {
            let grown = (bin - self.lowest + 1) as usize;
            self.bins.resize(grown.min(2 * BINS), 0.0);
            if grown > BINS {
                self.forget_below(bin - BINS as i64 + 1, highest);
            }
        } else if bin < self.lowest {
            if highest - bin >= BINS as i64 {
                return &mut self.beneath;
            }
            let missing = (self.lowest - bin) as usize;
            self.bins.splice(0..0, std::iter::repeat_n(0.0, missing));
            self.lowest = bin;
        }
        let at = (bin - self.lowest) as usize;
        &mut self.bins[at]
    }

    /// Moves the window of bins up, so that it begins at `lowest`.
    fn forget_below(&mut self, lowest: i64, highest: i64) {
        let gone = (lowest - self.lowest) as usize;
        let held = (highest - self.lowest + 1) as usize;
        self.beneath += self.bins[..gone.min(held)].iter().sum::<f64>();
        let kept: Vec<f64> = self.bins.get(gone..held.max(gone)).unwrap_or_default().to_vec();
        self.bins = kept;
        self.bins.resize(BINS, 0.0);
        self.lowest = lowest;
    }

    /// Whether no more bins are kept than may be.
    #[cfg(test)]
    pub(super) fn is_bounded(&self) -> bool {
        self.bins.len() <= BINS
    }

    /// The tail as it is now, `None` when nothing lies above the rest.
    fn fitted(&self) -> Option<Fit> {
        // A weight of 1 is the newest distance's.
        let wanted = (SHARE * self.total).max(FEWEST * self.weight);
        let (mut share, mut above, mut at) = (0.0, self.lowest - 1, self.bins.len());
        while at > 0 {
            if share + self.bins[at - 1] > wanted {
                above = self.lowest + at as i64 - 1;
                break;
            }
            share += self.bins[at - 1];
            at -= 1;
        }
        let threshold = if above < self.lowest { 0.0 } else { middle(above) };
        let (mean, variance) = self.excess(at, threshold);
        // A tail that is next to nothing is one of rounding.
        let mean = mean.max(1e-3 * threshold).max(f64::MIN_POSITIVE);
        let shape = if variance > 0.0 { 0.5 * (1.0 - mean * mean / variance) } else { 0.0 };
        let shape = shape.clamp(0.0, HEAVIEST);
        let share = share.max(self.weight) / self.total;
        Some(Fit { above, threshold, share, scale: mean * (1.0 - shape), shape })
    }

    /// Mean and variance of what the bins from `from` on exceed the threshold by.
    fn excess(&self, from: usize, threshold: f64) -> (f64, f64) {
        let bins = || self.bins[from..].iter().zip(self.lowest + from as i64..).filter(|(weight, _)| **weight > 0.0);
        let weight: f64 = bins().map(|(weight, _)| weight).sum();
        if weight <= 0.0 {
            return (0.0, 0.0);
        }
        let mean = bins().map(|(weight, bin)| weight * (middle(bin) - threshold)).sum::<f64>() / weight;
        let squares = bins().map(|(weight, bin)| weight * (middle(bin) - threshold - mean).powi(2)).sum::<f64>();
        (mean, squares / weight)
    }
}
