//! The bus inside one process: a bounded queue per (topic, group).

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use sre_space_ports::bus::{Bus, BusError, BusStatus, Delivery, Feed, Message, Topic};
use tokio::sync::Notify;

/// Messages of one group: waiting, and delivered but not yet acknowledged.
#[derive(Default)]
struct Queue {
    waiting: VecDeque<(u64, Message)>,
    unacknowledged: VecDeque<(u64, Message)>,
    last_receipt: u64,
    closed: bool,
}

#[derive(Default)]
struct Group {
    queue: Mutex<Queue>,
    arrived: Notify,
}

impl Group {
    fn queue(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

type Groups = HashMap<(Topic, String), Arc<Group>>;

/// The in-process bus.
pub struct LocalBus {
    capacity: usize,
    stands_in: Option<String>,
    groups: Mutex<(Groups, bool)>,
}

impl LocalBus {
    /// A bus whose groups hold at most `capacity` messages each, waiting and unacknowledged together.
    pub fn new(capacity: usize) -> Self {
        Self { capacity, stands_in: None, groups: Mutex::default() }
    }

    /// The same in place of another bus that cannot be had; the sentence says why.
    pub fn standing_in(capacity: usize, why: String) -> Self {
        Self { stands_in: Some(why), ..Self::new(capacity) }
    }

    /// Refuses further messages; feeds end when they are drained.
    pub fn close(&self) {
        let mut groups = self.groups();
        groups.1 = true;
        for group in groups.0.values() {
            group.queue().closed = true;
            group.arrived.notify_waiters();
            group.arrived.notify_one();
        }
    }

    fn groups(&self) -> MutexGuard<'_, (Groups, bool)> {
        self.groups.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Bus for LocalBus {
    async fn publish(&self, topic: Topic, message: Message) -> Result<(), BusError> {
        let groups = self.groups();
        if groups.1 {
            return Err(BusError::Closed);
        }
        let listening: Vec<&Arc<Group>> =
            groups.0.iter().filter(|((of, _), _)| *of == topic).map(|(_, group)| group).collect();
        let is_full = |group: &&&Arc<Group>| {
            let queue = group.queue();
            queue.waiting.len() + queue.unacknowledged.len() >= self.capacity
        };
        // All or none: a message that one group cannot take is refused for every group.
        if listening.iter().any(|group| is_full(&group)) {
            return Err(BusError::Full(topic.name()));
        }
        for group in listening {
            let mut queue = group.queue();
            queue.last_receipt += 1;
            let receipt = queue.last_receipt;
            queue.waiting.push_back((receipt, message.clone()));
            group.arrived.notify_one();
        }
        Ok(())
    }

    async fn health(&self) -> Result<(), BusError> {
        if self.groups().1 { Err(BusError::Closed) } else { Ok(()) }
    }

    fn status(&self) -> BusStatus {
        BusStatus { backend: "local", held: 0, trouble: self.stands_in.clone() }
    }

    async fn subscribe(&self, topic: Topic, group: &str) -> Result<Box<dyn Feed>, BusError> {
        let mut groups = self.groups();
        if groups.1 {
            return Err(BusError::Closed);
        }
        let group = Arc::clone(groups.0.entry((topic, group.to_owned())).or_default());
        Ok(Box::new(LocalFeed { group }))
    }
}

struct LocalFeed {
    group: Arc<Group>,
}

#[async_trait]
impl Feed for LocalFeed {
    async fn next(&mut self) -> Option<Delivery> {
        loop {
            let arrived = self.group.arrived.notified();
            {
                let mut queue = self.group.queue();
                if let Some((receipt, message)) = queue.waiting.pop_front() {
                    queue.unacknowledged.push_back((receipt, message.clone()));
                    return Some(Delivery { message, receipt });
                }
                if queue.closed {
                    return None;
                }
            }
            arrived.await;
        }
    }

    async fn acknowledge(&mut self, receipt: u64) -> Result<(), BusError> {
        self.group.queue().unacknowledged.retain(|(waiting, _)| *waiting != receipt);
        Ok(())
    }
}

impl Drop for LocalFeed {
    /// What was not acknowledged comes again, before anything newer.
    fn drop(&mut self) {
        let mut queue = self.group.queue();
        while let Some(again) = queue.unacknowledged.pop_back() {
            queue.waiting.push_front(again);
        }
        self.group.arrived.notify_one();
    }
}
