//! Whether a process's memory grows towards its limit.
//!
//! A point is bad when the process never used as much before, memory rose since the point before, the rise of the window is no
//! chance (Sen), and its slope and its change agree that it would reach the limit within the horizon at that pace. What collects garbage rises too, as far as last
//! time. Without a declared limit there is nothing to reach, and nothing is said.

use std::collections::{BTreeMap, VecDeque};

use sre_space_coherence::exhaustion::Exhaustion;
use sre_space_coherence::trend::{FEWEST, Trend};
use sre_space_domain::signal::MemoryTrend;

use super::super::names::Name;

/// A trend that reaches the limit later than this is left to slower eyes, seconds.
const HORIZON_S: f64 = 900.0;
/// A process that just began fills its pools and caches: not looked at for this long, milliseconds.
const WARM_UP_MS: i64 = 4_000;
/// Points nearer to the one before are left out, milliseconds.
const EVERY_MS: i64 = 800;
/// A source that said nothing for this long no longer leads, milliseconds.
const SILENT_MS: i64 = 10_000;
/// Points of a window.
const WINDOW: usize = FEWEST + 2;
/// The last step has to rise at least this part of the pace that matters.
const STEP: f64 = 0.5;
const MOST_SOURCES: usize = 4;
/// Earlier processes that are told from a new one.
const MOST_RETIRED: usize = 16;
const HOUR_S: f64 = 3_600.0;

/// What one source says of the newest process it knows.
#[derive(Default)]
struct Stream {
    instance: Option<Name>,
    retired: VecDeque<Name>,
    since_ms: i64,
    at_ms: VecDeque<i64>,
    values: VecDeque<f64>,
    /// The most the process used so far, bytes.
    peak: f64,
    trend: Option<MemoryTrend>,
    is_rising: bool,
}

/// The memory of one service's newest process, by source.
#[derive(Default)]
pub struct Memory {
    streams: BTreeMap<Name, Stream>,
    /// The source whose points are the seconds that are counted; the others agree with it or do not.
    leader: Option<Name>,
}

impl Memory {
    /// Whether a point is the first of a process that the leading source did not know.
    pub fn begins(&self, instance: Name, source: Name) -> bool {
        self.leader == Some(source) && self.streams.get(&source).is_some_and(|stream| stream.is_new(instance))
    }

    /// Takes one point: memory in use, its limit, and when. Answers whether it is bad, with another source that sees the
    /// same; `None` while there is nothing to say, or the source does not lead.
    pub fn take(
        &mut self,
        instance: Name,
        source: Name,
        (used, limit, now_ms): (f64, f64, i64),
    ) -> Option<(bool, Option<Name>)> {
        if self.streams.len() >= MOST_SOURCES && !self.streams.contains_key(&source) {
            return None;
        }
        let is_counted = self.streams.entry(source).or_default().take(instance, (used, limit, now_ms));
        let leads = |name: &Name| self.streams.get(name).is_some_and(|stream| stream.is_heard(now_ms));
        let leader = *self.leader.insert(self.leader.filter(leads).unwrap_or(source));
        let is_rising = is_counted.filter(|_| leader == source)?;
        let other = self.others(source).find(|(_, stream)| stream.is_rising && stream.is_heard(now_ms));
        let also = other.map(|(name, stream)| (*name, stream.trend));
        if let (Some((_, elsewhere)), Some(stream)) = (also, self.streams.get_mut(&source)) {
            stream.sees_elsewhere(elsewhere);
        }
        Some((is_rising, also.map(|(name, _)| name)))
    }

    fn others(&self, source: Name) -> impl Iterator<Item = (&Name, &Stream)> {
        self.streams.iter().filter(move |(name, _)| **name != source)
    }

    /// The numbers of the leading source's window.
    pub fn numbers(&self) -> Option<MemoryTrend> {
        self.streams.get(&self.leader?)?.trend
    }
}

impl Stream {
    fn is_new(&self, instance: Name) -> bool {
        self.instance != Some(instance) && !self.retired.contains(&instance)
    }

    fn is_heard(&self, now_ms: i64) -> bool {
        self.at_ms.back().is_some_and(|last| now_ms - last <= SILENT_MS) || now_ms - self.since_ms <= SILENT_MS
    }

    fn sees_elsewhere(&mut self, elsewhere: Option<MemoryTrend>) {
        if let Some(trend) = &mut self.trend {
            trend.elsewhere_per_s = elsewhere.map(|other| other.bytes_per_s);
        }
    }

    /// `None` where the point is not counted.
    fn take(&mut self, instance: Name, (used, limit, now_ms): (f64, f64, i64)) -> Option<bool> {
        if self.is_new(instance) {
            self.begin(instance, now_ms);
        }
        let is_late = self.at_ms.back().is_some_and(|last| now_ms - last < EVERY_MS);
        if self.instance != Some(instance) || now_ms - self.since_ms < WARM_UP_MS || is_late {
            return None;
        }
        let (before, is_peak) = (self.values.back().copied(), used > self.peak);
        self.peak = self.peak.max(used);
        self.at_ms.push_back(now_ms);
        self.values.push_back(used);
        if self.values.len() > WINDOW {
            self.at_ms.pop_front();
            self.values.pop_front();
        }
        self.is_rising = self.rises(before?, (used, limit))? && is_peak;
        Some(self.is_rising)
    }

    fn begin(&mut self, instance: Name, now_ms: i64) {
        let mut retired = std::mem::take(&mut self.retired);
        retired.extend(self.instance);
        if retired.len() > MOST_RETIRED {
            retired.pop_front();
        }
        *self = Self { instance: Some(instance), retired, since_ms: now_ms, ..Self::default() };
    }

    /// `None` while there are too few points for a window.
    fn rises(&mut self, before: f64, (used, limit): (f64, f64)) -> Option<bool> {
        if self.values.len() < FEWEST {
            return None;
        }
        let (at_ms, values) = (self.at_ms.make_contiguous(), self.values.make_contiguous());
        let window_s = (at_ms[at_ms.len() - 1] - at_ms[0]) as f64 / 1_000.0;
        let step_s = (at_ms[at_ms.len() - 1] - at_ms[at_ms.len() - 2]) as f64 / 1_000.0;
        let left = (limit - used).max(1.0);
        let forecast = Exhaustion::of(at_ms, values, limit).ok().flatten();
        // What has no trend, as a value that never changes has none, does not rise.
        let Ok(trend) = Trend::of(at_ms, values) else {
            self.trend = None;
            return Some(false);
        };
        let (bytes_per_s, pace) = (trend.per_hour / HOUR_S, left / HORIZON_S);
        self.trend = Some(MemoryTrend {
            used_bytes: used,
            limit_bytes: limit,
            bytes_per_s,
            change_per_s: (trend.to - trend.from) / window_s,
            explained: trend.explained,
            elsewhere_per_s: None,
            exhausted_in_s: forecast.map(|forecast| forecast.left_ms as f64 / 1_000.0),
            at_soonest_s: forecast.map(|forecast| forecast.soonest_ms as f64 / 1_000.0),
            window_s,
        });
        let matters = forecast.is_some() && trend.rises(pace * window_s / trend.from.abs());
        Some(matters && (used - before) / step_s >= STEP * pace)
    }
}
