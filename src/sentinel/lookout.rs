//! One Sentinel a host, all fed by one source.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde::Serialize;
use sre_space_coherence::sentinel::{Domain, Judge, Limits, Report, Sensor, Sentinel, advanced};
use sre_space_ports::source::{Reading, Source};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{Asking, Hosts};
use crate::config;

/// One host may be this much behind another.
const BEHIND_MS: i64 = 60_000;
/// A source that takes longer is asked again with the next look.
const PATIENCE: Duration = Duration::from_secs(30);

/// One thing that is vetoed at this moment, and by whom.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Standing {
    /// What of.
    pub domain: Domain,
    /// Whose sensor.
    pub host: String,
    /// Which sensor.
    pub sensor: Sensor,
    /// What it measures, in its own unit.
    pub value: f64,
    /// Where calm ends.
    pub limit: f64,
}

/// Looks at hosts again and again.
pub struct Lookout {
    source: Arc<dyn Source>,
    poll: Duration,
    asking: Asking,
    watch: Watch,
    /// Who else is told.
    standing: Arc<Mutex<Vec<Standing>>>,
}

impl Lookout {
    /// Looks at what a source tells; what is vetoed is kept up to date in `standing`.
    pub fn new(
        (source, poll): (Arc<dyn Source>, Duration),
        settings: &config::Sentinel,
        standing: Arc<Mutex<Vec<Standing>>>,
    ) -> Self {
        let watch = Watch::new(settings.limits, settings.advanced.then_some(advanced::judge as Judge));
        Self { source, poll, asking: Asking::of_windows(settings.limits.window_ms), watch, standing }
    }

    /// Looks until stopped.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut looks = interval(self.poll);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut trouble = None;
        while stop.run_until_cancelled(looks.tick()).await.is_some() {
            let told = match self.ask().await {
                Ok(told) => {
                    trouble = None;
                    told
                }
                Err(why) => {
                    if trouble.as_ref() != Some(&why) {
                        warn!(source = self.source.name(), why, "the Sentinel is told nothing");
                        trouble = Some(why);
                    }
                    Vec::new()
                }
            };
            let found = self.watch.look(Timestamp::now().as_millisecond(), &told);
            self.note(found);
        }
    }

    async fn ask(&mut self) -> Result<Vec<Reading>, String> {
        let wanted = self.asking.wanted(Timestamp::now().as_millisecond());
        let answer = timeout(PATIENCE, self.source.read(&wanted)).await;
        let told = answer.map_err(|_| "it does not answer".to_owned())?.map_err(|error| error.to_string())?;
        let newest = told.readings.last();
        self.asking.goes_on_from(newest.map_or(wanted.since_ms, |newest| newest.at_ms.saturating_sub(BEHIND_MS)));
        Ok(told.readings)
    }

    fn note(&self, found: Vec<Standing>) {
        let mut standing = self.standing.lock().unwrap_or_else(PoisonError::into_inner);
        let is_in = |all: &[Standing], veto: &Standing| {
            all.iter().any(|other| (&other.host, other.sensor) == (&veto.host, veto.sensor))
        };
        for Standing { domain, host, value, limit, .. } in found.iter().filter(|veto| !is_in(&standing, veto)) {
            warn!(%domain, host, value, limit, "the Sentinel vetoes changes");
        }
        for Standing { domain, host, .. } in standing.iter().filter(|veto| !is_in(&found, veto)) {
            info!(%domain, host, "the Sentinel withdraws its veto");
        }
        *standing = found;
    }
}

/// The Sentinels, by host.
struct Watch {
    limits: Limits,
    judge: Option<Judge>,
    hosts: Hosts,
    sentinels: BTreeMap<String, Sentinel>,
}

impl Watch {
    fn new(limits: Limits, judge: Option<Judge>) -> Self {
        Self { limits, judge, hosts: Hosts::default(), sentinels: BTreeMap::new() }
    }

    /// One look at all hosts: those of which nothing is told grow stale. Answers all vetoes, the first by priority first.
    fn look(&mut self, now_ms: i64, readings: &[Reading]) -> Vec<Standing> {
        let mut told = self.hosts.take_in(now_ms, readings);
        for host in told.keys() {
            let sentinel = || Sentinel::new(host, self.limits, self.judge);
            self.sentinels.entry(host.clone()).or_insert_with(sentinel);
        }
        self.sentinels.retain(|host, _| self.hosts.knows(host));
        let look = |(host, sentinel): (&String, &mut Sentinel)| {
            standing(&sentinel.observe(now_ms, &told.remove(host).unwrap_or_default()))
        };
        let mut vetoes: Vec<Standing> = self.sentinels.iter_mut().flat_map(look).collect();
        vetoes.sort_by_key(|veto| veto.sensor);
        vetoes
    }
}

fn standing(report: &Report) -> Vec<Standing> {
    let vetoes = report.vetoes.iter();
    vetoes
        .map(|veto| Standing {
            domain: veto.domain,
            host: report.host.clone(),
            sensor: veto.sensor,
            value: veto.value,
            limit: veto.limit,
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use sre_space_ports::doubles::source::ScriptedSource;
    use sre_space_ports::source::{SourceError, Told, names};

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_source_that_fails_is_asked_again_and_what_it_tells_stands() {
        let now_s = Timestamp::now().as_second();
        let share = |second: i64| if second % 2 == 0 { 0.10 } else { 0.95 };
        let thrash: Vec<Reading> = (now_s - 60..now_s).map(|second| cpu("wild", second, share(second))).collect();
        let away = || Some(Err(SourceError::Unreachable { name: "scripted", why: "away".to_owned() }));
        let told = Some(Ok(Told { readings: thrash, ..Told::default() }));
        let source = ScriptedSource::new([away(), away(), told, None, None]);
        let (standing, stop) = (Arc::default(), CancellationToken::new());
        let given = (Arc::clone(&source) as Arc<dyn Source>, Duration::from_secs(1));
        let settings = crate::config::Given::default().settings().expect("defaults").sentinel;
        let lookout = Lookout::new(given, &settings, Arc::clone(&standing));
        let vetoed =
            || standing.lock().expect("no panic").iter().map(|veto: &Standing| veto.sensor).collect::<Vec<_>>();
        let asked = || source.asked_since_ms();
        let follow = async {
            while asked().len() < 3 {
                assert!(vetoed().is_empty(), "nothing is known of any host");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            assert_eq!(vetoed(), [Sensor::Seizure]);
            // The fourth question is not answered; after half a minute it is given up, and the veto is not.
            while asked().len() < 5 {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            assert_eq!(vetoed(), [Sensor::Seizure]);
            stop.cancel();
        };
        tokio::join!(lookout.run(stop.clone()), follow);
        let asked = asked();
        assert_eq!(asked[3], (now_s - 1) * 1_000 - BEHIND_MS, "it goes on from what it was told last");
        assert_eq!(asked[4], asked[3]);
    }

    fn cpu(host: &str, second: i64, share: f64) -> Reading {
        Reading { host: host.to_owned(), metric: names::CPU.to_owned(), at_ms: second * 1_000, value: share }
    }

    fn memory(host: &str, second: i64, megabytes: f64) -> Reading {
        let (metric, at_ms) = (names::MEMORY.to_owned(), second * 1_000);
        Reading { host: host.to_owned(), metric, at_ms, value: megabytes * 1e6 }
    }

    /// Seconds of what is told; answers what is vetoed after each.
    fn after(seconds: i64, told: impl Fn(i64) -> Vec<Reading>) -> Vec<Vec<Standing>> {
        let mut watch = Watch::new(Limits::default(), None);
        (0..seconds).map(|second| watch.look(second * 1_000, &told(second))).collect()
    }

    #[test]
    fn calm_hosts_veto_nothing_and_one_that_thrashes_does() {
        let calm = |second: i64| vec![cpu("calm", second, 0.3 + 0.01 * (second % 3) as f64)];
        assert!(after(120, calm).iter().all(Vec::is_empty));
        let thrash = |second: i64| {
            let mut told = calm(second);
            told.push(cpu("wild", second, if second % 2 == 0 { 0.10 } else { 0.95 }));
            told
        };
        let vetoes = after(120, thrash).pop().expect("a look");
        let [veto] = &vetoes[..] else { panic!("one veto: {vetoes:?}") };
        assert_eq!((veto.domain, veto.host.as_str(), veto.sensor), (Domain::Compute, "wild", Sensor::Seizure));
        assert!(veto.value > veto.limit, "{veto:?}");
    }

    #[test]
    fn of_several_hosts_each_speaks_the_first_by_priority_first() {
        let fever = |second: i64| vec![memory("feverish", second, 500.0 * second as f64)];
        let both = |second: i64| {
            let share = if second % 2 == 0 { 0.10 } else { 0.95 };
            [fever(second), vec![cpu("wild", second, share)]].concat()
        };
        let last = |mut looks: Vec<Vec<Standing>>| -> Vec<(String, Domain)> {
            looks.pop().expect("a look").into_iter().map(|veto| (veto.host, veto.domain)).collect()
        };
        let (feverish, wild) = (("feverish".to_owned(), Domain::Resource), ("wild".to_owned(), Domain::Compute));
        assert_eq!(last(after(60, both)), [wild, feverish.clone()]);
        assert_eq!(last(after(60, fever)), [feverish]);
    }

    #[test]
    fn silence_withdraws_a_veto() {
        let mut watch = Watch::new(Limits::default(), None);
        let thrash = |second: i64| [cpu("wild", second, if second % 2 == 0 { 0.10 } else { 0.95 })];
        for second in 0..60 {
            watch.look(second * 1_000, &thrash(second));
        }
        assert!(!watch.look(60_000, &thrash(60)).is_empty());
        assert_eq!(watch.look(60_000 + 301_000, &[]), []);
    }
}
