//! Names of signals and of their states: one copy of each, however many rows have it.

use std::collections::HashSet;
use std::sync::Arc;

/// Bytes of a name.
const LONGEST: usize = 128;
/// Names that are told apart.
const MOST: usize = 10_000;
/// The first names met, which most rows have: comparing them all is faster than one hash (a tenth of reading 100,000 rows).
const USUAL: usize = 8;

/// The names met so far.
#[derive(Default)]
pub(super) struct Names {
    usual: Vec<Arc<str>>,
    others: HashSet<Arc<str>>,
}

impl Names {
    /// The one copy of a name; `None` when the text is no name.
    ///
    /// # Errors
    /// It is new, and there are too many.
    pub(super) fn of(&mut self, name: &str) -> Result<Option<Arc<str>>, &'static str> {
        let known = self.usual.iter().find(|known| ***known == *name).or_else(|| self.others.get(name));
        if let Some(known) = known {
            return Ok(Some(Arc::clone(known)));
        }
        if !is_name(name) {
            return Ok(None);
        }
        if self.usual.len() + self.others.len() >= MOST {
            return Err("there are too many different names");
        }
        let new: Arc<str> = name.into();
        if self.usual.len() < USUAL {
            self.usual.push(Arc::clone(&new));
        } else {
            self.others.insert(Arc::clone(&new));
        }
        Ok(Some(new))
    }
}

/// A name is short, and begins so that neither a spreadsheet nor a shell takes it for something else.
fn is_name(text: &str) -> bool {
    let begins_well = text.chars().next().is_some_and(|first| first.is_alphanumeric() || first == '_');
    begins_well && text.len() <= LONGEST && !text.chars().any(char::is_control)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_kept_once_and_there_are_not_endlessly_many() {
        let mut names = Names::default();
        for round in 0..2 {
            for n in 0..MOST {
                let name = names.of(&format!("s-{n}")).expect("room").expect("a name");
                assert_eq!(Arc::strong_count(&name), 2, "round {round}: one copy, and the one at hand");
            }
        }
        assert_eq!(names.of("one more"), Err("there are too many different names"));
        assert_eq!(names.of("=cmd()"), Ok(None));
        assert_eq!(names.of(&"s".repeat(LONGEST + 1)), Ok(None));
    }
}
