//! What goes wrong, and when.

/// How a call goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// 502, and nothing was done.
    BrokenBefore,
    /// It was done, and 502 is answered.
    BrokenAfter,
    /// It was done, and the connection ends without an answer.
    DroppedAfter,
    /// 403 for being one too many, with `Retry-After: 1`, and nothing was done.
    Limited,
    /// 503 with `Retry-After: 7`, and nothing was done.
    Busy,
    /// Refused with this status, and nothing was done.
    Refused(u16),
    /// Somebody pushes to the branch of pull request 1 just before; the call itself goes on.
    Overtaken,
}

/// One fault, met by the next call of its kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fault {
    /// Method and path of the operation, from the repository on.
    pub call: &'static str,
    /// What happens.
    pub kind: Kind,
}

#[derive(Default)]
pub(crate) struct Plan {
    planned: Vec<Fault>,
    /// `Retry-After` of a limit in force.
    pub limit: Option<u64>,
}

impl Plan {
    pub fn add(&mut self, fault: Fault) {
        self.planned.push(fault);
    }

    pub fn left(&self) -> usize {
        self.planned.len()
    }

    pub fn meet(&mut self, call: &str) -> Option<Kind> {
        let at = self.planned.iter().position(|fault| fault.call == call)?;
        Some(self.planned.remove(at).kind)
    }
}
