//! Quotes that are kept at hand with all their terms, so that a customer who comes back finds the one that was given.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use serde::Deserialize;

/// Length of the terms of one quote, bytes.
const TERMS: usize = 24 * 1024;
const CLAUSE: &str = "This offer holds for thirty days, for the person it names, on the terms of the policy it names. ";

/// `quotes:` of the quote engine's configuration.
#[derive(Debug, Clone, Deserialize)]
pub struct Kept {
    keep: usize,
}

impl Default for Kept {
    fn default() -> Self {
        Self { keep: 200 }
    }
}

/// The terms of the quotes that are kept, the oldest first.
pub struct Quotes {
    most: usize,
    kept: Mutex<VecDeque<String>>,
}

impl Quotes {
    /// None yet; 0 keeps all of them.
    pub fn keeping(kept: &Kept) -> Self {
        Self { most: kept.keep, kept: Mutex::default() }
    }

    /// Keeps one more; the oldest makes room where there is a bound.
    pub fn keep(&self, user: &str, cents: i64) {
        let mut terms = format!("{user}: {cents} cents a month. ");
        while terms.len() < TERMS {
            terms.push_str(CLAUSE);
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.push_back(terms);
        if self.most > 0 && kept.len() > self.most {
            kept.pop_front();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_keeps_the_newest_and_none_keeps_all() {
        for (keep, most) in [(3, 3), (0, 10)] {
            let quotes = Quotes::keeping(&Kept { keep });
            (0..10).for_each(|cents| quotes.keep("u1", cents));
            let kept = quotes.kept.lock().expect("nobody panicked");
            assert_eq!(kept.len(), most);
            assert!(kept.back().is_some_and(|terms| terms.starts_with("u1: 9 cents")));
        }
    }
}
