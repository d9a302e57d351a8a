//! Down one bad trace to where it begins to be bad.

use std::collections::{BTreeMap, BTreeSet};

use super::calls::{Calls, is_call};
use super::forest::Forest;

/// A child has grown when it takes this many times what it took in calm times.
const GROWN: f64 = 1.5;

/// In what way something is bad where the badness begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum How {
    /// Failed, and nothing it called did.
    Alone,
    /// Slow in its own time.
    Slow,
    /// A database call failed.
    Query,
    /// Its database calls are slow.
    SlowQuery,
    /// Called, and nobody was there.
    Unanswered,
    /// The call is bad, its other side is not.
    Between,
    /// Its other side was lost on the way to us.
    Unseen,
    /// Called again within one request.
    Repeated,
}

impl How {
    /// What a span of this kind shows, in our own words.
    pub fn shows(self) -> &'static str {
        match self {
            Self::Alone => "failed, and nothing it called did",
            Self::Slow => "slow in its own time, not in its calls",
            Self::Query => "failed with its database call",
            Self::SlowQuery => "slow in its database calls",
            Self::Unanswered => "called, and nobody answered",
            Self::Between => "bad, while its other side was not",
            Self::Unseen => "bad, and its other side was not seen",
            Self::Repeated => "the same call again within one request",
        }
    }
}

/// Where a trace begins to be bad.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Begin {
    /// (service, operation), as a number of the forest.
    pub place: usize,
    /// In what way.
    pub how: How,
    /// The span that shows it.
    pub span: usize,
}

/// What each kind of span takes in calm times: whole, and in none of its children.
#[derive(Default)]
pub struct Usual(BTreeMap<usize, (f64, f64, f64)>);

impl Usual {
    /// Learns from the good traces before the onset.
    pub fn learn(forest: &Forest<'_>) -> Self {
        let mut usual = Self::default();
        let good = forest.traces.iter().filter(|trace| trace.end_ns < forest.onset_ns && !forest.is_bad(trace));
        for index in good.flat_map(|trace| &trace.spans) {
            let (count, whole, own) = usual.0.entry(forest.places[*index]).or_default();
            *count += 1.0;
            *whole += forest.spans[*index].duration_ns() as f64;
            *own += forest.self_ns(*index) as f64;
        }
        usual
    }

    fn whole(&self, place: usize) -> f64 {
        self.0.get(&place).map_or(0.0, |(count, whole, _)| whole / count)
    }

    fn own(&self, place: usize) -> f64 {
        self.0.get(&place).map_or(0.0, |(count, _, own)| own / count)
    }
}

/// Reads bad traces against what is usual.
pub struct Walk<'a, 'b> {
    /// The spans.
    pub forest: &'b Forest<'a>,
    /// Who answers whom.
    pub calls: &'b Calls,
    /// What is usual.
    pub usual: &'b Usual,
}

enum Step {
    Down(Vec<usize>),
    Here(How),
}

impl Walk<'_, '_> {
    /// Where the badness seen at these spans begins: one place, or several that are bad side by side.
    pub fn begins(&self, tops: Vec<usize>) -> Vec<Begin> {
        let mut open: Vec<(usize, usize)> = tops.into_iter().map(|top| (top, top)).collect();
        let (mut seen, mut found) = (BTreeSet::new(), Vec::new());
        while let Some((index, entry)) = open.pop() {
            if !seen.insert(index) {
                continue;
            }
            let entry = if self.forest.spans[index].kind.is_entry() { index } else { entry };
            match self.step(index) {
                Step::Down(below) => open.extend(below.into_iter().map(|child| (child, entry))),
                Step::Here(how) => found.push(self.begin(index, entry, how)),
            }
        }
        found.sort_unstable();
        found.dedup_by_key(|begin| begin.place);
        found
    }

    fn begin(&self, index: usize, entry: usize, how: How) -> Begin {
        let callee = match how {
            How::Unanswered | How::Between | How::Unseen => self.calls.callee(self.forest, index),
            How::Alone | How::Slow | How::Query | How::SlowQuery | How::Repeated => None,
        };
        Begin { place: callee.unwrap_or(self.forest.places[entry]), how, span: index }
    }

    fn step(&self, index: usize) -> Step {
        let span = self.forest.spans[index];
        if is_call(self.forest, index) {
            self.step_call(index)
        } else if span.failed {
            self.step_failed(index)
        } else {
            self.step_slow(index)
        }
    }

    fn step_call(&self, index: usize) -> Step {
        let children = &self.forest.children[index];
        if children.is_empty() {
            let lost = self.calls.expects_answer(self.forest, index);
            return Step::Here(if lost { How::Unseen } else { How::Unanswered });
        }
        let bad: Vec<usize> = children.iter().copied().filter(|child| self.forest.bad[*child]).collect();
        if !bad.is_empty() {
            return Step::Down(bad);
        }
        let longest = children.iter().copied().max_by_key(|child| self.forest.spans[*child].duration_ns());
        let explains = |child: &usize| self.excess(*child) > self.own_excess(index) && self.has_grown(*child);
        longest.filter(explains).map_or(Step::Here(How::Between), |child| Step::Down(vec![child]))
    }

    fn step_failed(&self, index: usize) -> Step {
        let failed = self.forest.children[index].iter().copied().filter(|child| self.forest.spans[*child].failed);
        let (queries, calls): (Vec<usize>, Vec<usize>) = failed.partition(|child| self.is_query(*child));
        if !calls.is_empty() {
            return Step::Down(calls);
        }
        if !queries.is_empty() {
            return Step::Here(How::Query);
        }
        // It may have given up on a callee that merely ran long.
        let half = self.forest.spans[index].duration_ns() / 2;
        let long = |child: &usize| {
            self.forest.bad[*child] && self.has_grown(*child) && self.forest.spans[*child].duration_ns() >= half
        };
        let late: Vec<usize> = self.forest.children[index].iter().copied().filter(long).collect();
        match late.first() {
            None => Step::Here(How::Alone),
            Some(child) if self.is_query(*child) => Step::Here(How::SlowQuery),
            Some(_) => Step::Down(late),
        }
    }

    /// A slow span: whatever grew most, its own time, its queries together, or one call.
    fn step_slow(&self, index: usize) -> Step {
        let (queries, calls): (Vec<usize>, Vec<usize>) =
            self.forest.children[index].iter().copied().partition(|child| self.is_query(*child));
        let in_queries: f64 = queries.iter().map(|query| self.excess(*query)).sum();
        let worst = calls.into_iter().max_by(|a, b| self.excess(*a).total_cmp(&self.excess(*b)));
        let in_call = worst.map_or(0.0, |call| self.excess(call));
        let own = self.own_excess(index);
        match worst {
            Some(call) if in_call > own && in_call >= in_queries => Step::Down(vec![call]),
            Some(_) | None if in_queries > own => Step::Here(How::SlowQuery),
            Some(_) | None => Step::Here(How::Slow),
        }
    }

    fn is_query(&self, index: usize) -> bool {
        !self.forest.spans[index].db_system.is_empty()
    }

    fn has_grown(&self, index: usize) -> bool {
        self.forest.spans[index].duration_ns() as f64 > GROWN * self.usual.whole(self.forest.places[index])
    }

    fn excess(&self, index: usize) -> f64 {
        self.forest.spans[index].duration_ns() as f64 - self.usual.whole(self.forest.places[index])
    }

    fn own_excess(&self, index: usize) -> f64 {
        self.forest.self_ns(index) as f64 - self.usual.own(self.forest.places[index])
    }
}
