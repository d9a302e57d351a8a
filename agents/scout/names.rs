//! Interned names: a known name costs no allocation, and there are never more than the limits allow.

use std::collections::{HashMap, HashSet};

/// An interned name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(u32);

/// Longest name that is kept, bytes; longer ones are cut at a character.
const LONGEST: usize = 256;
/// Names that are neither service nor operation: revisions, sources, error types, database systems.
const MOST_OTHERS: usize = 10_000;
const OVERFLOW: &str = "(overflow)";

/// All names Scout has met.
pub struct Names {
    ids: HashMap<Box<str>, Name>,
    texts: Vec<Box<str>>,
    services: HashSet<Name>,
    operations: HashMap<Name, HashSet<Name>>,
    others: HashSet<Name>,
    most_services: usize,
    most_operations: usize,
    overflowed: u64,
}

impl Names {
    /// No names yet.
    pub fn new(most_services: usize, most_operations: usize) -> Self {
        Self {
            ids: HashMap::new(),
            texts: Vec::new(),
            services: HashSet::new(),
            operations: HashMap::new(),
            others: HashSet::new(),
            most_services,
            most_operations,
            overflowed: 0,
        }
    }

    /// A service's name.
    pub fn service(&mut self, text: &str) -> Name {
        if let Some(name) = self.find(text).filter(|name| self.services.contains(name)) {
            return name;
        }
        let name = self.intern_unless(self.services.len() >= self.most_services, text);
        self.services.insert(name);
        name
    }

    /// An operation's name, within its service.
    pub fn operation(&mut self, service: Name, text: &str) -> Name {
        let (known, count) = match self.operations.get(&service) {
            Some(known) => (self.find(text).filter(|name| known.contains(name)), known.len()),
            None => (None, 0),
        };
        if let Some(name) = known {
            return name;
        }
        let name = self.intern_unless(count >= self.most_operations, text);
        self.operations.entry(service).or_default().insert(name);
        name
    }

    /// Any other name.
    pub fn other(&mut self, text: &str) -> Name {
        if let Some(name) = self.find(text) {
            return name;
        }
        let name = self.intern_unless(self.others.len() >= MOST_OTHERS, text);
        self.others.insert(name);
        name
    }

    /// A name that was met before.
    pub fn find(&self, text: &str) -> Option<Name> {
        self.ids.get(cut(text)).copied()
    }

    /// The text behind a name.
    pub fn text(&self, name: Name) -> &str {
        self.texts.get(name.0 as usize).map_or("", |text| text)
    }

    /// How many names found no room.
    pub fn overflowed(&self) -> u64 {
        self.overflowed
    }

    fn intern_unless(&mut self, full: bool, text: &str) -> Name {
        if full {
            self.overflowed += 1;
            return self.intern(OVERFLOW);
        }
        self.intern(cut(text))
    }

    fn intern(&mut self, text: &str) -> Name {
        if let Some(name) = self.ids.get(text) {
            return *name;
        }
        let name = Name(u32::try_from(self.texts.len()).unwrap_or(u32::MAX));
        self.texts.push(text.into());
        self.ids.insert(text.into(), name);
        name
    }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(LONGEST)).unwrap_or(text)
}
