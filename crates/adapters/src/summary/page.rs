//! One page as Darshan writes it: `{"data": [row, …], "next_page": null | cursor}`, or the rows alone.
//!
//! A row is `{"timestamp", "signal_id", "coherenceScore", "agentStates", "eventCount"}`. One that is not as it should be is
//! counted, with why, and left out.

use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Deserializer;
use serde::de::{self, DeserializeSeed, IgnoredAny, MapAccess, SeqAccess, Visitor};
use sre_space_ports::summary::Record;

use super::loose::{Key, Loose, MOST_STATES, Row, States};
use super::names::Names;
use super::{MIB, MOST_HELD, MOST_RECORDS};

/// Reasons that are named.
const MOST_REASONS: usize = 100;
/// Characters of the reason why a page cannot be read.
const LONGEST_REASON: usize = 200;

/// How many agents are in which state.
type AgentStates = Box<[(Arc<str>, f64)]>;

/// The rows of all pages read so far.
#[derive(Default)]
pub(super) struct Rows {
    records: Vec<Record>,
    /// Bytes of the records.
    held: usize,
    refused: Vec<String>,
    refused_rows: u64,
    seen: u64,
    names: Names,
}

/// Everything that was read: ordered, each (signal, moment) once.
pub(super) struct Gathered {
    /// Ordered by time, then signal.
    pub records: Arc<[Record]>,
    /// Why rows could not be used; a hundred at most.
    pub refused: Arc<[String]>,
    /// How many could not be.
    pub refused_rows: u64,
}

impl Rows {
    /// Takes a page in; answers where the next one is, or why it cannot be read.
    pub(super) fn read(&mut self, body: &[u8]) -> Result<Option<String>, String> {
        let mut json = serde_json::Deserializer::from_slice(body);
        let next = PageSeed(self).deserialize(&mut json).and_then(|next| json.end().map(|()| next));
        // An error may quote what was found there, however long.
        next.map_err(|error| error.to_string().chars().filter(|c| !c.is_control()).take(LONGEST_REASON).collect())
    }

    /// All of it. Of several rows for one (signal, moment) the last one read counts.
    pub(super) fn gathered(mut self) -> Gathered {
        self.records.reverse();
        // Stable, so that of equals the last one read comes first and is the one that is kept.
        self.records.sort_by(|a, b| (a.at, &a.signal).cmp(&(b.at, &b.signal)));
        self.records.dedup_by(|a, b| a.at == b.at && a.signal == b.signal);
        let (refused, refused_rows) = (self.refused.into(), self.refused_rows);
        Gathered { records: self.records.into(), refused, refused_rows }
    }

    fn take(&mut self, row: Row<'_>) {
        self.seen += 1;
        match self.record(row) {
            Ok(record) => {
                self.held += size_of_val(&record) + size_of_val(&*record.agent_states);
                self.records.push(record);
            }
            Err(why) => {
                self.refused_rows += 1;
                if self.refused.len() < MOST_REASONS {
                    self.refused.push(format!("row {}: {why}", self.seen));
                }
            }
        }
    }

    /// Why there may be no more rows.
    fn is_full(&self) -> Option<String> {
        if self.records.len() >= MOST_RECORDS {
            return Some(format!("more than {MOST_RECORDS} rows; ask for a shorter window"));
        }
        (self.held >= MOST_HELD).then(|| {
            format!("rows of more than {} MiB, of many states each; ask for a shorter window", MOST_HELD / MIB)
        })
    }

    fn record(&mut self, row: Row<'_>) -> Result<Record, &'static str> {
        let Row::Fields { timestamp, signal, score, states, events } = row else { return Err("no object") };
        let at = match &timestamp {
            Loose::Text(text) => {
                text.parse::<Timestamp>().map_err(|_| "timestamp is no RFC 3339 moment with an offset")?
            }
            Loose::Nothing => return Err("timestamp is missing"),
            Loose::Number(_) | Loose::Other => return Err("timestamp is no text"),
        };
        let coherence_score = match score {
            Loose::Number(score) if score.is_finite() => score,
            Loose::Nothing => return Err("coherenceScore is missing"),
            Loose::Number(_) | Loose::Text(_) | Loose::Other => return Err("coherenceScore is no finite number"),
        };
        let signal = match signal {
            Loose::Nothing => None,
            Loose::Text(name) => Some(self.names.of(&name)?.ok_or("signal_id is no name")?),
            Loose::Number(_) | Loose::Other => return Err("signal_id is no name"),
        };
        let (agent_states, event_count) = (self.states(states)?, count(&events)?);
        Ok(Record { at, signal, coherence_score, agent_states, event_count })
    }

    fn states(&mut self, states: States<'_>) -> Result<AgentStates, &'static str> {
        let States::Map(states) = states else {
            return if matches!(states, States::Nothing) { Ok([].into()) } else { Err("agentStates is no object") };
        };
        if states.len() > MOST_STATES {
            return Err("agentStates has more than 64 states");
        }
        const NO_MAP: &str = "agentStates is no map of names to numbers";
        let mut named = Vec::with_capacity(states.len());
        for (name, count) in states {
            let Loose::Number(count) = count else { return Err(NO_MAP) };
            let name = self.names.of(&name)?.filter(|_| count.is_finite()).ok_or(NO_MAP)?;
            named.push((name, count));
        }
        Ok(named.into())
    }
}

/// A whole number that is not below 0; `None` where there is none.
fn count(events: &Loose<'_>) -> Result<Option<u64>, &'static str> {
    /// Beyond this, not every whole number is a double.
    const MOST: f64 = 9_007_199_254_740_992.0;
    match events {
        Loose::Nothing => Ok(None),
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "checked to be in range and whole")]
        Loose::Number(count) if (0.0..=MOST).contains(count) && count.fract() == 0.0 => Ok(Some(*count as u64)),
        Loose::Number(_) | Loose::Text(_) | Loose::Other => Err("eventCount is no count"),
    }
}

struct PageSeed<'r>(&'r mut Rows);

impl<'de> DeserializeSeed<'de> for PageSeed<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for PageSeed<'_> {
    type Value = Option<String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with `data`, or a list of rows")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Self::Value, A::Error> {
        while let Some(row) = items.next_element::<Row<'de>>()? {
            if let Some(why) = self.0.is_full() {
                return Err(de::Error::custom(why));
            }
            self.0.take(row);
        }
        Ok(None)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Self::Value, A::Error> {
        let (mut next, mut has_data) = (None, false);
        while let Some(Key(name)) = entries.next_key::<Key<'de>>()? {
            match name.as_ref() {
                "data" => {
                    has_data = true;
                    entries.next_value_seed(RowsSeed(&mut *self.0))?;
                }
                "next_page" => next = cursor(entries.next_value()?).map_err(de::Error::custom)?,
                _ => _ = entries.next_value::<IgnoredAny>()?,
            }
        }
        if has_data { Ok(next) } else { Err(de::Error::missing_field("data")) }
    }
}

/// The list behind `data`.
struct RowsSeed<'r>(&'r mut Rows);

impl<'de> DeserializeSeed<'de> for RowsSeed<'_> {
    type Value = Option<String>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(PageSeed(self.0))
    }
}

fn cursor(next: Loose<'_>) -> Result<Option<String>, &'static str> {
    const LONGEST_CURSOR: usize = 2_048;
    match next {
        Loose::Nothing => Ok(None),
        Loose::Text(text) if text.is_empty() => Ok(None),
        Loose::Text(text) if text.len() <= LONGEST_CURSOR => Ok(Some(text.into_owned())),
        Loose::Number(page) if page >= 0.0 && page.fract() == 0.0 => Ok(Some(format!("{page:.0}"))),
        Loose::Text(_) | Loose::Number(_) | Loose::Other => Err("next_page is neither a cursor nor null"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_many_states_fill_the_room_before_there_are_too_many_of_them() {
        let states: Vec<String> = (0..64).map(|state| format!(r#""s{state}":1"#)).collect();
        let row = format!(
            r#"{{"timestamp":"2025-10-29T17:00:00Z","coherenceScore":1,"agentStates":{{{}}}}}"#,
            states.join(",")
        );
        let page = format!("[{row},{row}]");
        let mut rows = Rows { held: MOST_HELD - 1_700, ..Rows::default() };
        assert_eq!(rows.read(page.as_bytes()), Ok(None));
        assert!(rows.held >= MOST_HELD, "each holds more than 1.5 kB: {}", rows.held);
        let why = rows.read(page.as_bytes()).expect_err("full");
        assert!(why.starts_with("rows of more than 80 MiB, of many states each; ask for a shorter window"), "{why}");
        let usual = size_of::<Record>() + 2 * size_of::<(Arc<str>, f64)>();
        assert!(usual * MOST_RECORDS < MOST_HELD, "two states a row are no reason to refuse");
    }
}
