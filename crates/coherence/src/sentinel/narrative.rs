//! One report in a person's words.

use super::WARM_UP;
use super::chain::{Chain, Kind};
use super::report::{Flag, Mode, Report, Status};
use super::sense::{Action, Condition, Sense, Sensor, Veto};

/// The sentences of a report.
pub(super) fn of(report: &Report) -> String {
    let mut sentences = vec![first(report)];
    sentences.extend(report.vetoes.iter().map(|veto| sentence(report, veto)));
    sentences.extend(report.sensors.iter().filter(|sense| sense.condition == Condition::Bursts).map(bursts));
    sentences.extend(flags(report));
    sentences.extend(report.chain.as_ref().map(chain));
    if let Mode::Basic { cause } = &report.mode
        && !matches!(report.status, Status::NoData | Status::Stale | Status::Warmup)
    {
        sentences.push(format!("Basic physics only, without the advanced part: {cause}."));
    }
    sentences.retain(|sentence| !sentence.is_empty());
    sentences.join(" ")
}

fn first(report: &Report) -> String {
    let load = report.load.map(|load| format!("load {:.1} % with sigma {:.1}", load.mean, load.sigma));
    match report.status {
        Status::NoData => "Nothing was told yet.".to_owned(),
        Status::Warmup => {
            let has = report.sensors.iter().filter_map(|sense| sense.samples).max().unwrap_or_default();
            format!("Warming up: {has} of {WARM_UP} samples in the window.")
        }
        Status::Stale => {
            let lag_s = report.lag_s.unwrap_or_default();
            format!("The newest sample is {lag_s:.0} s old: no veto stands on that.")
        }
        Status::Nominal => format!("Stable: {}.", load.unwrap_or_else(|| "load is not measured".to_owned())),
        Status::Veto => String::new(),
    }
}

fn sentence(report: &Report, veto: &Veto) -> String {
    let (value, limit) = (veto.value, veto.limit);
    let found = match veto.sensor {
        Sensor::Seizure => {
            let mean = report.load.map_or(0.0, |load| load.mean);
            format!("Load swings by {value:.1} points around a mean of {mean:.1} % (limit {limit:.1})")
        }
        Sensor::Fever => format!("Memory grows by {value:.0} MB/s (limit {limit:.0})"),
        Sensor::AutoImmune => format!("{value:.2} packets leave for each that arrives (limit {limit:.2})"),
    };
    let advice = match veto.sensor {
        Sensor::Seizure => "shed load",
        Sensor::Fever => "throttle what allocates",
        Sensor::AutoImmune if veto.action == Action::BreakCircuit => {
            "capping retries did not end it, break the circuit"
        }
        Sensor::AutoImmune => "cap retries",
    };
    format!("{found}: {advice}.")
}

fn bursts(sense: &Sense) -> String {
    let value = sense.value.unwrap_or_default();
    format!("Sigma is {value:.1}, by bursts that few samples take part in: no seizure.")
}

fn flags(report: &Report) -> impl Iterator<Item = String> + '_ {
    report.flags.iter().map(|flag| match flag {
        Flag::Flapping => "A sensor goes on and off.".to_owned(),
        Flag::Cascade => "More than one sensor vetoed lately.".to_owned(),
        Flag::Persistent => {
            let lasting = report.sensors.iter().filter(|sense| sense.persists);
            let names: Vec<&str> = lasting.map(|sense| name(sense.sensor)).collect();
            format!("It persists: {}.", names.join(", "))
        }
    })
}

fn name(sensor: Sensor) -> &'static str {
    match sensor {
        Sensor::Seizure => "seizure",
        Sensor::Fever => "fever",
        Sensor::AutoImmune => "auto-immune response",
    }
}

fn chain(chain: &Chain) -> String {
    let named = |kind: &Kind| match kind {
        Kind::Seizure => name(Sensor::Seizure),
        Kind::Fever => name(Sensor::Fever),
        Kind::AutoImmune => name(Sensor::AutoImmune),
        Kind::VarianceEscalation => "escalating variance",
        Kind::Spike => "spike",
    };
    let names: Vec<&str> = chain.kinds.iter().map(named).collect();
    let (signals, lasted_s, risk) = (chain.signals, chain.lasted_s, chain.risk);
    format!("{signals} signals within {lasted_s:.0} s belong together: {}; risk {risk:.2}.", names.join(", then "))
}
