//! Where the Variance Sentinel's calm ends, and where its samples come from.

use std::fmt;
use std::time::Duration;

use sre_space_coherence::sentinel::Limits;

use super::Reader;

/// Longest window and longest lag that can be asked for, seconds: a day.
const DAY_S: u64 = 86_400;

/// Sources on other machines are not asked more often than this.
const SELDOM: Duration = Duration::from_secs(15);

/// What `SRE_SPACE_SENTINEL` takes.
const WATCHED: [&str; 8] = ["otlp", "off", "live", "datadog", "prometheus", "darshan", "cloudwatch", "newrelic"];

/// The Variance Sentinel.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sentinel {
    /// Whose hosts a running server looks at; `None` for none.
    pub watched: Option<SourceName>,
    /// Where calm ends.
    pub limits: Limits,
    /// Time from one look to the next.
    pub poll: Duration,
    /// Whether its advanced part looks too.
    pub advanced: bool,
}

/// Sources of a host's metrics; the simulator and a file need no settings and are none of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceName {
    /// This host.
    Live,
    /// Datadog.
    Datadog,
    /// Prometheus.
    Prometheus,
    /// OTLP metrics.
    Otlp,
    /// Darshan's summaries.
    Darshan,
    /// CloudWatch.
    Cloudwatch,
    /// New Relic.
    Newrelic,
}

impl SourceName {
    const ALL: [Self; 7] =
        [Self::Live, Self::Datadog, Self::Prometheus, Self::Otlp, Self::Darshan, Self::Cloudwatch, Self::Newrelic];

    /// Time from one question to the next, where looks are this far apart.
    pub fn pace(self, poll: Duration) -> Duration {
        match self {
            Self::Live | Self::Otlp => poll,
            Self::Datadog | Self::Prometheus | Self::Darshan | Self::Cloudwatch | Self::Newrelic => poll.max(SELDOM),
        }
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Live => "live",
            Self::Datadog => "datadog",
            Self::Prometheus => "prometheus",
            Self::Otlp => "otlp",
            Self::Darshan => "darshan",
            Self::Cloudwatch => "cloudwatch",
            Self::Newrelic => "newrelic",
        })
    }
}

impl Reader<'_> {
    pub(super) fn sentinel(&mut self) -> Sentinel {
        let limits = Limits {
            sigma: self.number("SRE_SPACE_SENTINEL_SIGMA", is_limit),
            fever_mb_s: self.number("SRE_SPACE_SENTINEL_FEVER_MB_S", is_limit),
            amplification: self.number("SRE_SPACE_SENTINEL_AMPLIFICATION", is_limit),
            window_ms: self.seconds("SRE_SPACE_SENTINEL_WINDOW_S", 5),
            stale_ms: self.seconds("SRE_SPACE_SENTINEL_STALE_S", 1),
            persist_ms: self.seconds("SRE_SPACE_SENTINEL_PERSIST_S", 1),
        };
        let watched = self.one_of("SRE_SPACE_SENTINEL", &WATCHED);
        let watched = SourceName::ALL.into_iter().find(|name| name.to_string() == watched);
        let poll_s = self.number("SRE_SPACE_SENTINEL_POLL_S", |poll_s: &f64| (0.1..=3_600.0).contains(poll_s));
        let advanced = self.one_of("SRE_SPACE_SENTINEL_ADVANCED", &["on", "off"]) == "on";
        Sentinel { watched, limits, poll: Duration::from_secs_f64(poll_s), advanced }
    }

    /// A number of seconds, in ms.
    fn seconds(&mut self, name: &str, fewest: u64) -> i64 {
        let seconds: u64 = self.number(name, |seconds| (fewest..=DAY_S).contains(seconds));
        i64::try_from(seconds).unwrap_or_default().saturating_mul(1_000)
    }
}

/// Above 0: at 0 whatever moves would be a veto.
fn is_limit(limit: &f64) -> bool {
    limit.is_finite() && *limit > 0.0
}

#[cfg(test)]
mod tests {
    use super::super::{Given, Mistakes};
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Sentinel, Vec<String>> {
        let mut given = Given::default();
        pairs.iter().for_each(|(name, value)| given.set(name, value));
        let keys =
            |Mistakes(mistakes)| mistakes.into_iter().map(|mistake: super::super::Mistake| mistake.key).collect();
        given.settings().map(|settings| settings.sentinel).map_err(keys)
    }

    #[test]
    fn the_defaults_are_those_of_the_founding_document() {
        let sentinel = read(&[]).expect("defaults");
        let watched = Some(SourceName::Otlp);
        let (limits, poll) = (Limits::default(), Duration::from_secs(1));
        assert_eq!(sentinel, Sentinel { watched, limits, poll, advanced: true });
        let Limits { sigma, fever_mb_s, amplification, window_ms, stale_ms, .. } = sentinel.limits;
        assert_eq!((sigma, fever_mb_s, amplification, window_ms, stale_ms), (10.0, 100.0, 1.1, 60_000, 300_000));
    }

    #[test]
    fn other_machines_are_asked_seldom() {
        let pace = |name: SourceName, poll_s| name.pace(Duration::from_secs(poll_s)).as_secs();
        assert_eq!(
            (pace(SourceName::Live, 1), pace(SourceName::Datadog, 1), pace(SourceName::Datadog, 60)),
            (1, 15, 60)
        );
    }

    #[test]
    fn each_can_be_set_and_nonsense_is_refused_by_name() {
        let set = [
            ("SRE_SPACE_SENTINEL", "prometheus"),
            ("SRE_SPACE_SENTINEL_SIGMA", "12.5"),
            ("SRE_SPACE_SENTINEL_FEVER_MB_S", "50"),
            ("SRE_SPACE_SENTINEL_AMPLIFICATION", "3"),
            ("SRE_SPACE_SENTINEL_WINDOW_S", "600"),
            ("SRE_SPACE_SENTINEL_STALE_S", "30"),
            ("SRE_SPACE_SENTINEL_PERSIST_S", "120"),
            ("SRE_SPACE_SENTINEL_POLL_S", "0.5"),
            ("SRE_SPACE_SENTINEL_ADVANCED", "off"),
        ];
        let limits = Limits {
            sigma: 12.5,
            fever_mb_s: 50.0,
            amplification: 3.0,
            window_ms: 600_000,
            stale_ms: 30_000,
            persist_ms: 120_000,
        };
        let (watched, poll) = (Some(SourceName::Prometheus), Duration::from_millis(500));
        assert_eq!(read(&set), Ok(Sentinel { watched, limits, poll, advanced: false }));
        assert_eq!(read(&[("SRE_SPACE_SENTINEL", "off")]).map(|sentinel| sentinel.watched), Ok(None));
        for (name, _) in set {
            for wrong in ["-1", "NaN", "inf", "0", "much"] {
                assert_eq!(read(&[(name, wrong)]), Err(vec![name.to_owned()]), "{wrong}");
            }
        }
    }
}
