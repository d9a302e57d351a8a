//! Which tables a command works on.

use crate::config::{Given, Mistake, Mistakes, Settings};

/// Where the tables are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Place {
    /// Supabase where it is set, else the database.
    Configured,
    /// The database, whatever is set.
    Database,
    /// Supabase, or nothing.
    Supabase,
}

impl Place {
    /// The settings for it; where they are missing, all of those that are.
    pub fn settings(self, given: &Given) -> Result<Settings, Mistakes> {
        let missing = |name: &&str| given.0.get(*name).is_none_or(String::is_empty) && !by_file(given, name);
        let settings = |given: &Given| given.settings();
        match self {
            Self::Configured => settings(given),
            Self::Database => Ok(Settings { supabase: None, ..settings(given)? }),
            Self::Supabase => {
                let missing: Vec<Mistake> = ["SUPABASE_URL", "SUPABASE_KEY"]
                    .iter()
                    .filter(|name| missing(name))
                    .map(|name| mistake(name))
                    .collect();
                if missing.is_empty() { settings(given) } else { Err(Mistakes(missing)) }
            }
        }
    }
}

fn by_file(given: &Given, name: &str) -> bool {
    given.0.contains_key(&format!("{name}_FILE"))
}

fn mistake(name: &str) -> Mistake {
    Mistake { key: name.to_owned(), value: String::new(), wanted: "it has to be set for --store supabase".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_setting_that_is_missing_is_named() {
        let Mistakes(mistakes) = Place::Supabase.settings(&Given::default()).expect_err("nothing is set");
        let names: Vec<&str> = mistakes.iter().map(|mistake| mistake.key.as_str()).collect();
        assert_eq!(names, ["SUPABASE_URL", "SUPABASE_KEY"]);
    }

    #[test]
    fn half_of_the_settings_is_a_mistake_and_both_are_a_place() {
        let mut given = Given::default();
        given.set("SUPABASE_URL", "https://project.supabase.co");
        let Mistakes(mistakes) = Place::Configured.settings(&given).expect_err("no key");
        assert_eq!(mistakes.iter().map(|mistake| mistake.key.as_str()).collect::<Vec<_>>(), ["SUPABASE_KEY"]);
        given.set("SUPABASE_KEY", "s3cret");
        let settings = Place::Supabase.settings(&given).expect("both");
        assert!(settings.supabase.is_some() && !format!("{settings:?}").contains("s3cret"));
        assert_eq!(Place::Database.settings(&given).expect("both").supabase, None);
    }
}
