//! The simulated host: a calm machine on which four things go wrong at fixed ticks, the same for the same seed.

use super::vitals::Vitals;

/// When its first tick is, Unix ms: 2026-01-01T00:00:00Z.
const EPOCH_MS: i64 = 1_767_225_600_000;
/// Its ticks are a second apart.
const TICK_MS: i64 = 1_000;
/// After so many ticks it begins again.
pub const CYCLE: u64 = 160;
/// While its clock is stale it tells samples of so long ago.
const STALE_MS: i64 = 400_000;
/// Memory in use while calm, bytes.
const MEMORY: f64 = 4e9;
/// What a fevered tick allocates, bytes.
const ALLOCATED: f64 = 5e8;
/// Packets received in a tick.
const PACKETS: f64 = 1_000.0;

/// What goes wrong, and at which ticks of a cycle, first and last.
const FEVER: (u64, u64) = (8, 19);
const STALE_CLOCK: (u64, u64) = (24, 27);
const RETRY_STORM: (u64, u64) = (32, 41);
const THRASH: (u64, u64) = (46, 57);
/// The callers of a thrashing host retry.
const RETRIES_OF_THRASH: (u64, u64) = (54, 60);

/// The simulated host.
#[derive(Debug, Clone)]
pub struct SimHost {
    random: SplitMix64,
    ticks: u64,
    memory: f64,
    received: f64,
    sent: f64,
}

impl SimHost {
    /// A host whose noise comes from `seed`.
    pub fn new(seed: u64) -> Self {
        Self { random: SplitMix64::new(seed), ticks: 0, memory: 0.0, received: 0.0, sent: 0.0 }
    }

    /// The next tick: as of when, Unix ms, and what is told then.
    pub fn tick(&mut self) -> (i64, Vitals) {
        let tick = self.ticks % CYCLE + 1;
        let now_ms = EPOCH_MS.saturating_add(i64::try_from(self.ticks).unwrap_or_default().saturating_mul(TICK_MS));
        self.ticks += 1;
        let during = |(first, last): (u64, u64)| (first..=last).contains(&tick);
        let calm = 30.0 + 2.0 * self.random.normal();
        let thrash = if tick.is_multiple_of(2) { 95.0 } else { 10.0 };
        self.memory = if during(FEVER) { self.memory + ALLOCATED } else { 0.0 };
        let arrived = (PACKETS * (1.0 + 0.02 * self.random.normal())).round();
        let amplified = if during(RETRY_STORM) || during(RETRIES_OF_THRASH) { 2.0 } else { 1.0 };
        self.received += arrived;
        self.sent += (arrived * amplified * (1.0 + 0.005 * self.random.normal())).round();
        let vitals = Vitals {
            at_ms: if during(STALE_CLOCK) { now_ms - STALE_MS } else { now_ms },
            cpu: Some(if during(THRASH) { thrash } else { calm.clamp(0.0, 100.0) }),
            memory: Some((MEMORY + self.memory + 5e6 * self.random.normal()).round()),
            received: Some(self.received),
            sent: Some(self.sent),
        };
        (now_ms, vitals)
    }
}

/// SplitMix64: Steele, Lea and Flood, *Fast splittable pseudorandom number generators*, OOPSLA 2014. The same numbers on every
/// machine and in every version, which a crate's default generator does not promise.
#[derive(Debug, Clone)]
pub(super) struct SplitMix64(u64);

impl SplitMix64 {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// Evenly in 0.0..1.0, in steps of 2^-53.
    pub(super) fn even(&mut self) -> f64 {
        (self.draw() >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Nearly standard normal: twelve even ones less six (Irwin and Hall). Sums alone, so that no machine's logarithm matters.
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.even()).sum::<f64>() - 6.0
    }
}
