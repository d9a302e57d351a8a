//! What happens inside the engine: a pool of connections, a queue that gives up, a slow call in the middle.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::{Fault, MS, Town};

const GIVE_UP: u64 = 1_000 * MS;

/// Chance, seeded.
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn roll(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
    }
}

pub(super) type Time = Option<(u64, u64)>;

#[derive(Default, Clone)]
pub(super) struct Request {
    pub(super) at: u64,
    pub(super) holds: bool,
    pub(super) is_waiting: bool,
    pub(super) select: Time,
    pub(super) rating: Time,
    pub(super) insert: Time,
    pub(super) rating_failed: bool,
    pub(super) failed: bool,
    pub(super) end: Option<u64>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord, Clone, Copy)]
pub(super) enum Event {
    Arrives,
    Selected,
    Rated,
    Stored,
    GivesUp { first: bool },
}

pub(super) struct Engine<'a> {
    pub(super) town: &'a Town,
    pub(super) dice: Dice,
    pub(super) free: usize,
    pub(super) queue: VecDeque<usize>,
    pub(super) events: BinaryHeap<Reverse<(u64, usize, Event)>>,
    pub(super) requests: Vec<Request>,
}

impl Engine<'_> {
    pub(super) fn run(&mut self) {
        while let Some(Reverse((now, id, event))) = self.events.pop() {
            match event {
                Event::Arrives => self.want(now, id),
                Event::Selected => self.selected(now, id),
                Event::Rated => self.rated(now, id),
                Event::Stored => {
                    self.release(now);
                    self.requests[id].end = Some(now + 200);
                }
                Event::GivesUp { first } => {
                    let request = &mut self.requests[id];
                    if request.is_waiting && request.select.is_none() == first {
                        (request.is_waiting, request.failed, request.end) = (false, true, Some(now + 200));
                    }
                }
            }
        }
    }

    fn is_on(&self, now: u64) -> bool {
        now >= self.town.fault_ms * MS
    }

    fn want(&mut self, now: u64, id: usize) {
        if self.free > 0 {
            self.free -= 1;
            return self.grant(now, id);
        }
        self.requests[id].is_waiting = true;
        self.queue.push_back(id);
        let first = self.requests[id].select.is_none();
        self.events.push(Reverse((now + GIVE_UP, id, Event::GivesUp { first })));
    }

    fn grant(&mut self, now: u64, id: usize) {
        let more = if let Fault::SlowQuery(ms) = self.town.fault
            && self.is_on(now)
        {
            ms * MS
        } else {
            0
        };
        let until = now + 500 + (1_000.0 * self.dice.roll()) as u64 + more;
        let request = &mut self.requests[id];
        request.is_waiting = false;
        if request.select.is_none() {
            request.select = Some((now, until));
            self.events.push(Reverse((until, id, Event::Selected)));
        } else {
            request.insert = Some((now, until));
            self.events.push(Reverse((until, id, Event::Stored)));
        }
    }

    fn release(&mut self, now: u64) {
        while let Some(id) = self.queue.pop_front() {
            if self.requests[id].is_waiting {
                return self.grant(now, id);
            }
        }
        self.free += 1;
    }

    fn selected(&mut self, now: u64, id: usize) {
        if !self.requests[id].holds {
            self.release(now);
        }
        let roll = self.dice.roll();
        let fault = if self.is_on(now) { self.town.fault } else { Fault::Calm };
        let (took, failed) = match fault {
            Fault::SlowRating(ms) | Fault::SlowRatingWhileHolding(ms) => (500 * MS + ms * MS, false),
            Fault::SilentRating => (3 * MS, true),
            Fault::TwoSuspects(share) => (500 * MS, roll < share),
            Fault::Calm | Fault::Holds | Fault::Rule(_) | Fault::SlowQuery(_) => (500 * MS, false),
        };
        let until = now + took + (8_000.0 * self.dice.roll()) as u64;
        self.requests[id].rating = Some((now, until));
        self.requests[id].rating_failed = failed;
        self.events.push(Reverse((until, id, Event::Rated)));
    }

    fn rated(&mut self, now: u64, id: usize) {
        let roll = self.dice.roll();
        let breaks = if let Fault::Rule(share) | Fault::TwoSuspects(share) = self.town.fault {
            self.requests[id].at >= self.town.fault_ms * MS && roll < share
        } else {
            false
        };
        if breaks || self.requests[id].rating_failed {
            self.requests[id].failed = true;
            self.requests[id].end = Some(now + 300);
            if self.requests[id].holds {
                self.release(now);
            }
        } else if self.requests[id].holds {
            self.grant(now, id);
        } else {
            self.want(now, id);
        }
    }
}
