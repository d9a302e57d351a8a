//! Whether the memory of a service's processes grows towards its limit.
//!
//! Each source follows up to [`MOST_INSTANCES`] processes of the newest revision it knows, each by itself (`stream`), and the
//! worst of them is what is judged. Without a declared limit there is nothing to reach, and nothing is said.

use std::collections::{BTreeMap, VecDeque};

use sre_space_domain::signal::MemoryTrend;

use super::super::names::Name;
use super::stream::Stream;
use super::{Passing, Second};

/// Processes that one source follows of one service; the memory of further ones is not watched.
const MOST_INSTANCES: usize = 8;
const MOST_TELLERS: usize = 8;
/// Earlier revisions that are told from a new one.
const MOST_RETIRED: usize = 16;
/// A source that said nothing for so many steps no longer leads.
const SILENT_STEPS: i64 = 10;

/// One point.
pub struct Point {
    /// The process, hashed: names of processes never end.
    pub instance: u64,
    /// What its memory is of (`process`, `container`), hashed.
    pub entity: u64,
    /// Memory in use, bytes.
    pub used: f64,
    /// The limit that was declared for it, bytes.
    pub limit: f64,
    /// When, milliseconds since the Unix epoch.
    pub now_ms: i64,
}

/// What comes of a point.
#[derive(Default)]
pub struct Heard {
    /// It is the first of another process than the leading source knew, and none of those speaks any more.
    pub begins: bool,
    /// A second to be counted.
    pub second: Option<Second>,
}

/// What one source says of one entity of a service.
#[derive(Default)]
struct Teller {
    revision: Option<Name>,
    retired: VecDeque<Name>,
    streams: Vec<(u64, Stream)>,
}

/// The memory of one service, by source and entity.
#[derive(Default)]
pub struct Memory {
    tellers: BTreeMap<(Name, u64), Teller>,
    /// Whose points are the seconds that are counted; the others agree or do not.
    leader: Option<(Name, u64)>,
    last: Option<MemoryTrend>,
}

impl Memory {
    /// Takes one point.
    pub fn take(&mut self, of: Passing, point: &Point) -> Heard {
        let (key, now_ms) = ((of.source, point.entity), point.now_ms);
        if self.tellers.len() >= MOST_TELLERS && !self.tellers.contains_key(&key) {
            return Heard::default();
        }
        let Some((begins, judged)) = self.tellers.entry(key).or_default().take(of.revision, point) else {
            return Heard::default();
        };
        let leads = |key: &(Name, u64)| self.tellers.get(key).is_some_and(|teller| teller.is_heard(now_ms));
        let leader = *self.leader.insert(self.leader.filter(leads).unwrap_or(key));
        let is_counted = judged.filter(|_| leader == key);
        let second = is_counted.and_then(|is_bad| self.second(of, point, is_bad));
        Heard { begins: begins && leader == key, second }
    }

    fn second(&mut self, of: Passing, point: &Point, is_bad: bool) -> Option<Second> {
        let ours = self.tellers.get(&(of.source, point.entity))?;
        let (instance, stream) = ours.worst(point.now_ms).or_else(|| ours.find(point.instance))?;
        let others = self.tellers.iter().filter(|((source, _), _)| *source != of.source);
        let mut rising =
            others.filter_map(|((source, _), teller)| Some((*source, teller.agrees(*instance, point.now_ms)?)));
        let also = rising.next();
        let (trend, step_ms) = (stream.trend(), stream.step_ms());
        self.last = trend.map(|trend| MemoryTrend { elsewhere_per_s: also.map(|(_, per_s)| per_s), ..trend });
        let also = also.map(|(source, _)| source);
        Some(Second { is_bad, source: of.source, revision: of.revision, also, step_ms })
    }

    /// The numbers of the last second.
    pub fn numbers(&self) -> Option<MemoryTrend> {
        self.last
    }
}

impl Teller {
    /// Whether another process begins, and whether a second is bad; `None` where the point is of nobody who is followed.
    fn take(&mut self, revision: Name, point: &Point) -> Option<(bool, Option<bool>)> {
        let follows = self.turns_to(revision, point.now_ms)?;
        let replaces = self.makes_room(point)?;
        let at = self.streams.iter().position(|(instance, _)| *instance == point.instance)?;
        let (_, stream) = self.streams.get_mut(at)?;
        let own = stream.take((point.used, point.limit, point.now_ms));
        // Of several processes one beats the time.
        let beats = self.streams.iter().position(|(_, stream)| stream.speaks(point.now_ms)) == Some(at);
        let judged = if self.worst(point.now_ms).is_some() { own.map(|_| true) } else { own };
        Some((follows || replaces, judged.filter(|_| beats)))
    }

    /// Whether the revision follows another; `None` for an earlier one whose processes have not ended yet.
    fn turns_to(&mut self, revision: Name, now_ms: i64) -> Option<bool> {
        if self.revision == Some(revision) {
            return Some(false);
        }
        if self.retired.contains(&revision) && self.is_heard(now_ms) {
            return None;
        }
        self.streams.clear();
        self.retired.retain(|retired| *retired != revision);
        self.retired.extend(self.revision);
        if self.retired.len() > MOST_RETIRED {
            self.retired.pop_front();
        }
        Some(self.revision.replace(revision).is_some())
    }

    /// Whether the process is in the place of others, that are silent; `None` where there is no room for one more.
    fn makes_room(&mut self, point: &Point) -> Option<bool> {
        if self.find(point.instance).is_some() {
            return Some(false);
        }
        let replaces = !self.streams.is_empty() && !self.streams.iter().any(|(_, stream)| stream.speaks(point.now_ms));
        self.streams.retain(|(_, stream)| !replaces && stream.is_heard(SILENT_STEPS, point.now_ms));
        (self.streams.len() < MOST_INSTANCES).then(|| {
            self.streams.push((point.instance, Stream::since(point.now_ms)));
            replaces
        })
    }

    fn is_heard(&self, now_ms: i64) -> bool {
        self.streams.iter().any(|(_, stream)| stream.is_heard(SILENT_STEPS, now_ms))
    }

    fn find(&self, instance: u64) -> Option<(&u64, &Stream)> {
        self.streams.iter().find(|(known, _)| *known == instance).map(|(known, stream)| (known, stream))
    }

    /// The process that grows fastest, of those that do and still speak.
    fn worst(&self, now_ms: i64) -> Option<(&u64, &Stream)> {
        let rising = self.streams.iter().filter(|(_, stream)| stream.rises_by().is_some() && stream.speaks(now_ms));
        let fastest = rising.max_by(|(_, one), (_, other)| {
            one.rises_by().partial_cmp(&other.rises_by()).unwrap_or(std::cmp::Ordering::Equal)
        });
        fastest.map(|(instance, stream)| (instance, stream))
    }

    /// How fast the same process grows by this source; any of its processes, where sources name them differently.
    fn agrees(&self, instance: u64, now_ms: i64) -> Option<f64> {
        match self.find(instance) {
            Some((_, stream)) => stream.rises_by().filter(|_| stream.is_heard(SILENT_STEPS, now_ms)),
            None => self.worst(now_ms)?.1.rises_by(),
        }
    }
}
