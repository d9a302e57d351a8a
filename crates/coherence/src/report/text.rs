//! The report for people.

use std::fmt::{self, Write as _};

use super::{Alert, Explained, HostSummary, Report};
use crate::correlate::{Hypothesis, LOOKBACK_MS};
use crate::modal::{Band, Detector};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seen = &self.analysed;
        let span = seen.from.zip(seen.until).map_or_else(String::new, |(from, until)| format!(", {from} to {until}"));
        writeln!(f, "{} event(s), {} series{span}", seen.events, seen.series)?;
        if seen.refused > 0 {
            writeln!(f, "{} row(s) were no events and are left out", seen.refused)?;
        }
        self.alerts(f)?;
        self.hosts.iter().try_for_each(|host| summary(f, host))?;
        for untold in &self.untold {
            let (of, detector) = (clean(&untold.fingerprint.to_string()), untold.detector.as_str());
            writeln!(f, "{of}: {detector} cannot tell: the series {}", untold.why)?;
        }
        self.incidents(f)
    }
}

impl Report {
    fn alerts(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.alerts.is_empty() {
            return writeln!(f, "\nno anomalies");
        }
        for detector in Detector::ALL {
            let alerts: Vec<&Alert> = self.alerts.iter().filter(|alert| alert.detector == detector).collect();
            if !alerts.is_empty() {
                writeln!(f, "\n{}", detector.as_str().to_uppercase().replace('_', " "))?;
                alerts.into_iter().try_for_each(|one| alert(f, one))?;
            }
        }
        writeln!(f)
    }

    fn incidents(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n{} incident(s)", self.incident_count)?;
        for (number, incident) in self.incidents.iter().enumerate() {
            writeln!(f, "\nINCIDENT #{}  {}", number + 1, clean(&incident.incident_id))?;
            explained(f, incident)?;
        }
        Ok(())
    }
}

/// How a band is marked, as in seed 001.
fn mark(band: Band) -> &'static str {
    match band {
        Band::High => "🔴",
        Band::Medium => "🟡",
        Band::Low => "🟢",
    }
}

fn alert(f: &mut fmt::Formatter<'_>, alert: &Alert) -> fmt::Result {
    let (of, class) = (clean(&alert.fingerprint.to_string()), alert.class.as_str());
    writeln!(f, "{} {of} → {} (Risk: {:.2}, {class})", mark(alert.band), alert.details, alert.risk_score)?;
    if let Some(told) = &alert.forecast {
        let (soonest, latest) = told.hours_left_range;
        let (left, limit) = (told.hours_left, told.limit);
        writeln!(f, "   reaches {limit} in {left:.1} h ({soonest:.1} to {latest:.1} h)")?;
    }
    Ok(())
}

fn summary(f: &mut fmt::Formatter<'_>, host: &HostSummary) -> fmt::Result {
    let HostSummary { events, metrics, alerts, .. } = host;
    let mut risks = String::new();
    if let (Some(average), Some(maximum)) = (host.average_risk, host.maximum_risk) {
        write!(risks, ", average risk {average:.2}, maximum {maximum:.2}")?;
    }
    writeln!(f, "Host {}: {events} events, {metrics} metrics, {alerts} alert(s){risks}", clean(&host.host))
}

fn explained(f: &mut fmt::Formatter<'_>, incident: &Explained) -> fmt::Result {
    let (errors, minutes) = (incident.error_count, incident.duration_minutes);
    writeln!(f, "Host: {}  Errors: {errors}  Duration: {minutes:.1} minutes\n", clean(&incident.host))?;
    writeln!(f, "{}", incident.narrative.lines().map(clean).collect::<Vec<_>>().join("\n"))?;
    if !incident.hypotheses.is_empty() {
        writeln!(f, "\nTop probable causes:")?;
    }
    incident.hypotheses.iter().enumerate().try_for_each(|(number, told)| hypothesis(f, number, told))?;
    for seen in &incident.evidence {
        let (metric, at) = (clean(&seen.metric), crate::event::moment(seen.at_ms));
        let (highest, last) = (seen.highest, seen.last);
        writeln!(f, "  within 5 minutes: {metric} up to {highest:.2} at {at}, last {last:.2}")?;
    }
    Ok(())
}

fn hypothesis(f: &mut fmt::Formatter<'_>, number: usize, told: &Hypothesis) -> fmt::Result {
    let (metric, class) = (clean(&told.metric), told.class.as_str());
    writeln!(f, "  {}. [{}] {metric}: {class}", number + 1, told.detector.as_str())?;
    let older = if told.first_seen_hours < LOOKBACK_MS as f64 / 3_600_000.0 { "" } else { " or earlier" };
    let (relevance, lead, risk, seen) = (told.relevance, told.lead_time_hours, told.risk_score, told.first_seen_hours);
    writeln!(
        f,
        "     Relevance: {relevance:.2} | Lead time: {lead:.1} h | Risk: {risk:.2} | first seen {seen:.1} h before{older}"
    )?;
    writeln!(f, "     {}", clean(&told.summary))
}

/// A name from outside without what a terminal obeys.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}
