//! Rolling stores: a CSV file, or a SQLite file of its own.

mod csv;
mod row;
mod sqlite;
#[cfg(test)]
mod tests;

pub use self::csv::CsvStore;
pub use self::sqlite::SqliteStore;
