//! The effects that wait for telemetry: confirmation, deployment, recovery, and whether it holds.

use sre_space_agents::scout::{ProbeTally, Watch};
use sre_space_domain::catalogue::{Catalogue, Verify};
use sre_space_domain::evidence::Suspect;
use sre_space_domain::incident::{Event, Incident, State};
use sre_space_domain::recovery::{Outcome, Recovery, Test};
use sre_space_ports::store::Filter;
use tokio::time::{Duration, Instant, interval};

use super::Context;
use super::context::Listening;
use super::effects::allowed;
use super::retry::{Fallible, Turn};

const HOUR_MS: i64 = 3_600_000;
/// So long the owners' rules are waited for to probe by; what is suspected is confirmed or dropped without them, too.
const RULES: Duration = Duration::from_secs(5);
/// After a probe its target is left alone for this many times as long as the probe took.
const REST: u32 = 3;

/// Where and how a service may be asked.
struct Probe {
    base_url: String,
    request: String,
    latency_ms: u64,
}

fn probe_of(catalogue: &Catalogue, service: &str) -> Option<Probe> {
    let rules = catalogue.services.get(service)?;
    Some(Probe {
        base_url: rules.base_url.clone()?,
        request: rules.verify.probe.clone()?,
        latency_ms: rules.slo.latency_ms,
    })
}

async fn probed_bad(context: &Context, probe: &Probe) -> bool {
    context.parts.prober.probe(&probe.base_url, &probe.request).await.is_bad(probe.latency_ms)
}

/// Probes while the suspicion is young: a bad probe is an independent source. Scout confirms; this only drops.
pub async fn await_confirmation(turn: &Turn<'_>, incident: &Incident) -> Event {
    let rules = allowed(&turn.brief(RULES)).await.ok();
    let probe = rules.and_then(|(_, catalogue)| probe_of(&catalogue, &incident.service));
    let mut waiting = Listening::lasting(turn.patience.confirmation);
    let mut look = interval(turn.patience.probe);
    let mut rested = Instant::now();
    let mut calm = Calm::begins();
    loop {
        look.tick().await;
        if let Some(probe) = probe.as_ref().filter(|_| Instant::now() >= rested) {
            let began = Instant::now();
            let bad = probed_bad(turn, probe).await;
            turn.scout().probed(&incident.service, bad, turn.now_ms());
            // What is slow is asked the less: probing must not be what keeps it down.
            rested = Instant::now() + began.elapsed() * REST;
        }
        if calm.passed(turn, incident) || waiting.is_over(turn) {
            return Event::Faded;
        }
    }
}

/// Since when all has been seen well without a break. One look is not enough: slow requests end late, and after a restart the
/// quick ones are seen first.
pub struct Calm(Instant);

impl Calm {
    /// From now on.
    pub fn begins() -> Self {
        Self(Instant::now())
    }

    /// Looks once more; whether the incident's failure has been gone for long enough to be believed.
    pub fn passed(&mut self, context: &Context, incident: &Incident) -> bool {
        let is_well = context.scout().passed(&incident.signal, context.now_ms());
        self.lasts(context, is_well)
    }

    fn lasts(&mut self, context: &Context, is_well: bool) -> bool {
        if !is_well || context.is_deaf() {
            self.0 = Instant::now();
        }
        self.0.elapsed() >= context.patience.calm
    }
}

/// Waits until the service has been seen healthy for a while.
pub async fn await_calm(context: &Context, incident: &Incident) -> Event {
    let mut look = interval(context.patience.look);
    let mut calm = Calm::begins();
    loop {
        look.tick().await;
        let is_well = context.scout().calm(&incident.service, context.now_ms());
        if calm.lasts(context, is_well) {
            return Event::Calmed;
        }
    }
}

/// What else is under way, and was lately.
pub struct Load {
    /// Incidents acted on in the last hour, this one not counted.
    pub incidents_last_hour: u32,
    /// The service is in its cooldown.
    pub cooling: bool,
    /// Other remediations under way on the same service.
    pub active_on_service: u32,
}

/// The service that an incident changes: the remedy's, which may be a caller of the one that fails.
fn changed(incident: &Incident) -> &str {
    incident.remedy.as_ref().map_or(&incident.service, |remedy| remedy.service())
}

/// Whether the owners' limits leave room for this incident.
pub async fn load(context: &Context, incident: &Incident, catalogue: &Catalogue) -> Fallible<Load> {
    let records = context.patience.outlasted(|| context.parts.store.incidents(Filter::default())).await?;
    let now_ms = context.now_ms();
    let others = || records.iter().map(|record| &record.incident).filter(|other| other.id != incident.id);
    let acted = |other: &&Incident| other.change.is_some() || !other.attempts.is_empty();
    let cooldown_ms = i64::try_from(catalogue.limits.cooldown_s).unwrap_or(i64::MAX).saturating_mul(1_000);
    let cools = |other: &Incident| {
        let closed = other.closed_at.map(|at| at.as_millisecond());
        closed.is_some_and(|at| now_ms.saturating_sub(at) < cooldown_ms) && changed(other) == changed(incident)
    };
    let busy = |other: &&Incident| {
        let writing = matches!(
            other.state,
            State::Acting | State::Deploying | State::Verifying | State::Reverting | State::Learning
        );
        writing && changed(other) == changed(incident)
    };
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    let recent = |other: &&Incident| now_ms.saturating_sub(other.opened_at.as_millisecond()) < HOUR_MS;
    Ok(Load {
        incidents_last_hour: count(others().filter(acted).filter(recent).count()),
        cooling: others().filter(acted).any(cools),
        active_on_service: count(others().filter(busy).count()),
    })
}

/// What the deployed change is watched by.
struct Deployed {
    service: String,
    /// `None` where the failure shows at a service that was not changed: the changed one is judged as a whole.
    operation: Option<String>,
    revision: String,
    rules: Verify,
    probe: Option<Probe>,
    provisional: Duration,
}

async fn deployed(turn: &Turn<'_>, incident: &Incident) -> Fallible<Deployed> {
    let (_, catalogue) = allowed(turn).await?;
    let remedy = incident.remedy.as_ref().ok_or("no remedy was applied")?;
    let service = remedy.service().to_owned();
    let merged = incident.change.as_ref().and_then(|change| change.revision.clone());
    let rules = catalogue.services.get(&service).map(|rules| rules.verify.clone()).unwrap_or_default();
    Ok(Deployed {
        probe: probe_of(&catalogue, &service),
        operation: (incident.service == service).then(|| incident.operation.clone()),
        revision: merged.ok_or("nothing was merged")?.0,
        provisional: Duration::from_secs(catalogue.limits.provisional_s),
        service,
        rules,
    })
}

/// Waits for the first span of the merged revision.
pub async fn await_deploy(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let Deployed { service, revision, rules, .. } = deployed(turn, incident).await?;
    let mut waiting = Listening::lasting(Duration::from_secs(rules.timeout_s));
    let mut look = interval(turn.patience.look);
    loop {
        turn.look(&mut look).await;
        if turn.scout().revision_seen(&service, &revision).is_some() {
            return Ok(Event::Deployed);
        }
        if waiting.is_over(turn) {
            let waited = rules.timeout_s;
            return Ok(Event::NotDeployed(format!("no span of the merged revision within {waited} s")));
        }
    }
}

/// Judges the new revision, asking by probe when traffic is thin.
pub async fn recheck(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let deployed = deployed(turn, incident).await?;
    let mut watch = watch(turn, incident, &deployed);
    let mut look = interval(turn.patience.look);
    let mut last_probe = Instant::now();
    loop {
        let looked = turn.now_ms();
        look.tick().await;
        if turn.is_deaf() {
            watch.timeout_ms = watch.timeout_ms.saturating_add(turn.now_ms() - looked);
            continue;
        }
        if let Some(recovery) = { turn.scout().recheck(&watch, turn.now_ms()) } {
            return Ok(Event::Judged(recovery));
        }
        let settled = turn.now_ms() >= watch.since_ms + watch.settle_ms;
        if let Some(probe) = deployed.probe.as_ref().filter(|_| settled && last_probe.elapsed() >= turn.patience.probe)
        {
            last_probe = Instant::now();
            match probed_bad(turn, probe).await {
                true => watch.probes.bad += 1,
                false => watch.probes.good += 1,
            }
        }
    }
}

fn watch(context: &Context, incident: &Incident, deployed: &Deployed) -> Watch {
    let now_ms = context.now_ms();
    let scout = context.scout();
    let changed_elsewhere = incident.service != deployed.service;
    // What fails by itself, and is only protected from, may go on failing; what was suspect for another reason as well.
    let is_apart = |suspect: &Suspect| {
        (changed_elsewhere && suspect.service == incident.service) || !is_affected(incident, suspect)
    };
    // Who was affected before a restart was under suspicion then, whether or not they are again by now.
    let affected = incident.diagnosis.iter().flat_map(|diagnosis| &diagnosis.affected);
    let affected = affected.map(|(service, operation)| Suspect {
        service: service.clone(),
        operation: operation.clone(),
        statistic: 0.0,
    });
    let (apart, suspects_before) = scout.suspects().into_iter().chain(affected).partition(is_apart);
    let seconds = |s: u64| i64::try_from(s).unwrap_or(i64::MAX / 1_000).saturating_mul(1_000);
    Watch {
        service: deployed.service.clone(),
        operation: deployed.operation.clone(),
        revision: deployed.revision.clone(),
        baseline: incident.signal.baseline,
        observed: incident.signal.observed,
        coherence: incident.signal.coherence,
        suspects_before,
        apart,
        settle_ms: seconds(deployed.rules.settle_s),
        timeout_ms: seconds(deployed.rules.timeout_s),
        since_ms: scout.revision_seen(&deployed.service, &deployed.revision).unwrap_or(now_ms),
        probes: ProbeTally {
            failed_before: incident.signal.sources.iter().any(|source| source == "probe"),
            good: 0,
            bad: 0,
        },
    }
}

/// Whether a suspect's requests are among those the incident is about; all are while nothing is known of them.
pub fn is_affected(incident: &Incident, suspect: &Suspect) -> bool {
    let affected = incident.diagnosis.as_ref().map(|diagnosis| diagnosis.affected.as_slice()).unwrap_or_default();
    let same = |(service, operation): &(String, String)| *service == suspect.service && *operation == suspect.operation;
    affected.is_empty() || affected.iter().any(same)
}

/// Watches whether the recovery holds for the owners' provisional time.
pub async fn hold(turn: &Turn<'_>, incident: &Incident) -> Fallible<Event> {
    let Deployed { service, provisional, .. } = deployed(turn, incident).await?;
    let mut waiting = Listening::lasting(provisional);
    let mut look = interval(turn.patience.look);
    while !waiting.is_over(turn) {
        look.tick().await;
        let now_ms = turn.now_ms();
        let again = { turn.scout().suspects() }
            .into_iter()
            .find(|suspect| suspect.service == service && is_affected(incident, suspect));
        let signal = again.and_then(|suspect| turn.scout().signal(&service, &suspect.operation, now_ms));
        if let Some(signal) = signal {
            return Ok(Event::Relapsed(Recovery {
                verdict: Outcome::Unchanged,
                test: Test::Relapse,
                samples: signal.samples,
                bad: signal.bad(),
                probes: 0,
                statistic: signal.statistic,
                threshold: signal.threshold,
                reason: format!("{:.0} % bad again within the provisional time", signal.observed * 100.0),
            }));
        }
    }
    Ok(Event::Held)
}
