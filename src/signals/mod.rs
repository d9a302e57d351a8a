//! The second sense at work: events out of files and tables, looked at once or again and again.

mod file;
mod gather;
mod keep;
mod levels;
mod patrol;
mod place;
mod risk;

pub use self::file::{Read, read};
pub use self::keep::{Kept, Seen, events, keep, remember, word};
pub use self::levels::Levels;
pub use self::patrol::Patrol;
pub use self::place::Place;
pub use self::risk::Risk;
