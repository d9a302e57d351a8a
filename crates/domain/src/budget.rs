//! What asking a model may cost: counted before a call at its worst, and after it as it was.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Tokens and money. Money is whole millionths of a US dollar, so that sums are exact.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spend {
    /// Tokens, in and out.
    pub tokens: u64,
    /// Millionths of a US dollar.
    pub micro_usd: u64,
}

impl Spend {
    /// Both together; what cannot be counted any more stays at the greatest number.
    pub fn and(self, other: Self) -> Self {
        Self {
            tokens: self.tokens.saturating_add(other.tokens),
            micro_usd: self.micro_usd.saturating_add(other.micro_usd),
        }
    }

    /// US dollars.
    pub fn usd(self) -> f64 {
        self.micro_usd as f64 / 1e6
    }
}

/// What a million tokens cost, in US dollars. What nobody told a price of costs nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Prices {
    /// Of those that are sent.
    pub input: f64,
    /// Of those that come back.
    pub output: f64,
}

impl Prices {
    /// So many tokens sent and answered.
    pub fn of(&self, input: u64, output: u64) -> Spend {
        let cost = input as f64 * self.input + output as f64 * self.output;
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a float cast saturates")]
        let micro_usd = cost.ceil() as u64;
        Spend { tokens: input.saturating_add(output), micro_usd }
    }
}

/// The most that may be spent on something; `None` where there is no bound.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Bound {
    /// Tokens.
    pub tokens: Option<u64>,
    /// Millionths of a US dollar.
    pub micro_usd: Option<u64>,
}

impl Bound {
    fn exceeded_by(&self, spent: Spend) -> Option<&'static str> {
        let above = |bound: Option<u64>, spent: u64| bound.is_some_and(|bound| spent > bound);
        match (above(self.tokens, spent.tokens), above(self.micro_usd, spent.micro_usd)) {
            (true, _) => Some("tokens"),
            (false, true) => Some("money"),
            (false, false) => None,
        }
    }
}

/// The bounds of an incident and of a day (UTC).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Of one incident.
    pub incident: Bound,
    /// Of one day.
    pub day: Bound,
}

/// A budget that one more call could exceed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Exceeded {
    /// Whose: `incident` or `day`.
    pub of: &'static str,
    /// Of what: `tokens` or `money`.
    pub what: &'static str,
}

impl fmt::Display for Exceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {}'s budget of {} does not suffice for one more call", self.of, self.what)
    }
}

impl Limits {
    /// Whether a call that costs `worst` at most may be made after what was spent.
    ///
    /// # Errors
    /// [`Exceeded`] names the budget that could be exceeded.
    pub fn admit(&self, incident: Spend, day: Spend, worst: Spend) -> Result<(), Exceeded> {
        let of_incident = self.incident.exceeded_by(incident.and(worst)).map(|what| Exceeded { of: "incident", what });
        let of_day = self.day.exceeded_by(day.and(worst)).map(|what| Exceeded { of: "day", what });
        of_incident.or(of_day).map_or(Ok(()), Err)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(tokens: u64) -> Spend {
        Spend { tokens, micro_usd: 0 }
    }

    #[test]
    fn a_call_that_could_exceed_a_budget_is_not_made() {
        let bound = |tokens, micro_usd| Bound { tokens: Some(tokens), micro_usd: Some(micro_usd) };
        let limits = Limits { incident: bound(100, 10), day: bound(1_000, 50) };
        let exceeded = |of, what| Err(Exceeded { of, what });
        let table = [
            (0, 0, tokens(100), Ok(())),
            (1, 0, tokens(100), exceeded("incident", "tokens")),
            (0, 901, tokens(100), exceeded("day", "tokens")),
            (0, 0, Spend { tokens: 1, micro_usd: 11 }, exceeded("incident", "money")),
            (0, u64::MAX, tokens(1), exceeded("day", "tokens")),
        ];
        for (incident, day, worst, expected) in table {
            assert_eq!(limits.admit(tokens(incident), tokens(day), worst), expected, "{incident} {day} {worst:?}");
        }
        assert_eq!(Limits::default().admit(tokens(u64::MAX), tokens(u64::MAX), tokens(u64::MAX)), Ok(()));
    }

    #[test]
    fn money_is_rounded_up() {
        let prices = Prices { input: 0.15, output: 0.6 };
        assert_eq!(prices.of(1_000, 100), Spend { tokens: 1_100, micro_usd: 210 });
        assert_eq!(prices.of(1, 0), Spend { tokens: 1, micro_usd: 1 });
        assert_eq!(Prices::default().of(7, 7), tokens(14));
    }
}
