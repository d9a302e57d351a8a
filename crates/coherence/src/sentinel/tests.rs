//! The Sentinel, told what a host would tell, a second at a time.

mod calm;
mod played;

use super::*;
use crate::series::Series;
use crate::undefined::Undefined;

/// A host that is told a second at a time.
pub(super) struct Host {
    pub(super) sentinel: Sentinel,
    pub(super) at_ms: i64,
    vitals: Vitals,
}

impl Host {
    pub(super) fn new(limits: Limits, judge: Option<Judge>) -> Self {
        let sentinel = Sentinel::new("host-a", limits, judge);
        let vitals = Vitals { cpu: None, memory: Some(4e9), received: Some(0.0), sent: Some(0.0), at_ms: 0 };
        Self { sentinel, at_ms: 0, vitals }
    }

    pub(super) fn basic() -> Self {
        Self::new(Limits::default(), None)
    }

    /// A second later: this load, so many more bytes, and for a thousand packets received so many sent.
    pub(super) fn second(&mut self, cpu: f64, allocated: f64, sent: f64) -> Report {
        self.at_ms += 1_000;
        let add = |value: Option<f64>, more: f64| value.map(|value| value + more);
        let before = self.vitals;
        self.vitals = Vitals {
            at_ms: self.at_ms,
            cpu: Some(cpu),
            memory: add(before.memory, allocated),
            received: add(before.received, 1_000.0),
            sent: add(before.sent, sent),
        };
        self.sentinel.observe(self.at_ms, &[self.vitals])
    }

    pub(super) fn load(&mut self, cpu: f64) -> Report {
        self.second(cpu, 0.0, 1_000.0)
    }

    pub(super) fn calm_for(&mut self, seconds: u32, cpu: f64) -> Report {
        (1..seconds).for_each(|_| _ = self.load(cpu));
        self.load(cpu)
    }
}

/// Vetoes as (about what, what to do).
pub(super) fn advice(report: &Report) -> Vec<(Domain, Action)> {
    report.vetoes.iter().map(|veto| (veto.domain, veto.action)).collect()
}

const SHED: (Domain, Action) = (Domain::Compute, Action::ShedLoad);
const THROTTLE: (Domain, Action) = (Domain::Resource, Action::Throttle);
const CAP: (Domain, Action) = (Domain::Intent, Action::CapRetries);

#[test]
fn a_thrash_is_a_seizure_within_two_ticks_whatever_load_was_calm() {
    for calm in 0..=100_u32 {
        for first_is_high in [false, true] {
            let mut host = Host::basic();
            let before = host.calm_for(120, f64::from(calm));
            assert_eq!(before.status, Status::Nominal);
            let loads = if first_is_high { [95.0, 10.0] } else { [10.0, 95.0] };
            let found: Vec<_> = loads.map(|cpu| advice(&host.load(cpu))).into();
            assert!(found.contains(&vec![SHED]), "from {calm} %, high first {first_is_high}: {found:?}");
            assert_eq!(advice(&host.load(loads[0])), [SHED], "and it holds, from {calm} %");
        }
    }
}

#[test]
fn the_mean_of_a_thrash_looks_calm_and_its_variance_does_not() {
    let mut host = Host::basic();
    let report = (0..60).map(|second| host.load(if second % 2 == 0 { 10.0 } else { 90.0 })).last().expect("a report");
    let load = report.load.expect("load");
    assert_eq!((load.mean, load.samples, advice(&report)), (50.0, 60, vec![SHED]));
    assert!((load.variance - 1_627.118_644).abs() < 1e-6 && (load.sigma - 40.337_559).abs() < 1e-6, "{load:?}");
}

#[test]
fn memory_that_grows_fast_is_a_fever_and_one_big_allocation_is_none() {
    let mut host = Host::basic();
    host.calm_for(60, 20.0);
    let first = (1..=12).find(|_| advice(&host.second(20.0, 5e8, 1_000.0)) == [THROTTLE]);
    assert_eq!(first, Some(3));
    let mut host = Host::basic();
    host.calm_for(60, 20.0);
    host.second(20.0, 8e9, 1_000.0);
    let after: Vec<_> = (0..20).flat_map(|_| advice(&host.load(20.0))).collect();
    assert_eq!(after, []);
    let slow: Vec<_> = (0..60).flat_map(|_| advice(&host.second(20.0, 9.9e7, 1_000.0))).collect();
    assert_eq!(slow, []);
}

#[test]
fn twice_the_packets_out_is_auto_immune_and_a_few_packets_are_not() {
    let mut host = Host::basic();
    host.calm_for(60, 20.0);
    let first = (1..=6).find(|_| advice(&host.second(20.0, 0.0, 2_000.0)) == [CAP]);
    assert_eq!(first, Some(2));
    let mut quiet = Sentinel::new("quiet", Limits::default(), None);
    let told = |second: i64| Vitals {
        at_ms: second * 1_000,
        received: Some(second as f64),
        sent: Some(2.0 * second as f64),
        ..Vitals::default()
    };
    let report = (1..=60).map(|second| quiet.observe(second * 1_000, &[told(second)])).last().expect("a report");
    let immune = &report.sensors[2];
    assert_eq!((immune.condition, immune.value, immune.why), (Condition::Calm, Some(2.0), Some(Why::FewPackets)));
}

#[test]
fn all_vetoes_are_told_and_the_first_by_priority_leads() {
    let mut host = Host::basic();
    host.calm_for(60, 10.0);
    let report = (0..6).map(|second| host.second(if second % 2 == 0 { 95.0 } else { 10.0 }, 5e8, 2_000.0)).last();
    let report = report.expect("a report");
    assert_eq!(advice(&report), [SHED, THROTTLE, CAP]);
    assert_eq!(report.primary.map(|veto| veto.sensor), Some(Sensor::Seizure));
    assert_eq!(report.flags, [Flag::Cascade]);
}

#[test]
fn it_warms_up_for_five_samples_and_says_nothing_before() {
    let mut host = Host::basic();
    let wild = |second: u32| if second.is_multiple_of(2) { 95.0 } else { 10.0 };
    let reports: Vec<Report> = (0..5).map(|second| host.second(wild(second), 5e8, 2_000.0)).collect();
    let seen: Vec<_> = reports.iter().map(|report| (report.status, report.vetoes.len())).collect();
    let warming = (Status::Warmup, 0);
    assert_eq!(seen, [warming, warming, warming, warming, (Status::Veto, 3)]);
    assert_eq!(reports[2].narrative, "Warming up: 3 of 5 samples in the window.");
    let nothing = Sentinel::new("host-a", Limits::default(), None).observe(1_000, &[]);
    assert_eq!((nothing.status, nothing.lag_s, nothing.load), (Status::NoData, None, None));
}

#[test]
fn a_stale_sample_withdraws_the_veto_and_a_fresh_one_restores_it() {
    let mut host = Host::basic();
    host.calm_for(60, 10.0);
    (0..10).for_each(|second| _ = host.load(if second % 2 == 0 { 95.0 } else { 10.0 }));
    let told = host.at_ms;
    let silent = |host: &mut Host, lag_ms: i64| host.sentinel.observe(told + lag_ms, &[]);
    assert_eq!(advice(&silent(&mut host, 300_000)), [SHED]);
    let stale = silent(&mut host, 300_001);
    assert_eq!((stale.status, stale.lag_s, advice(&stale)), (Status::Stale, Some(300.001), vec![]));
    let late = Vitals { at_ms: told - 400_000, cpu: Some(10.0), ..Vitals::default() };
    let back = host.sentinel.observe(told + 1_000, &[late]);
    assert_eq!((back.status, back.lag_s), (Status::Stale, Some(401.0)), "a clock that went back is as old as it says");
    assert_eq!(host.load(10.0).status, Status::Veto);
}

#[test]
fn a_sensor_that_goes_on_and_off_flaps() {
    let mut host = Host::basic();
    host.calm_for(60, 20.0);
    // Ten seconds hold one or two of these pulses, and two are above the limit.
    let sent = |second: u32| if second.is_multiple_of(7) { 1_800.0 } else { 1_000.0 };
    let reports: Vec<Report> = (0..35).map(|second| host.second(20.0, 0.0, sent(second))).collect();
    let flapping = reports.iter().filter(|report| report.flags == [Flag::Flapping]).count();
    assert!(flapping > 0 && reports[..10].iter().all(|report| report.flags.is_empty()), "{flapping}");
}

#[test]
fn a_veto_that_lasts_is_persistent_and_asks_for_more() {
    let mut host = Host::basic();
    host.calm_for(60, 20.0);
    let reports: Vec<Report> = (0..40).map(|_| host.second(20.0, 0.0, 2_000.0)).collect();
    let persistent = reports.iter().position(|report| report.flags.contains(&Flag::Persistent));
    assert_eq!(persistent, Some(31), "the veto began at the second look and the limit is 30 s");
    assert_eq!(advice(&reports[30]), [CAP]);
    assert_eq!(advice(&reports[31]), [(Domain::Intent, Action::BreakCircuit)]);
    assert!(reports[31].sensors[2].persists && reports[31].sensors[2].since.is_some());
}

#[test]
fn without_its_advanced_part_it_vetoes_all_the_same_and_says_why() {
    let fails: Judge = |_: &Series, _| Err(Undefined::NotFinite);
    let off = Mode::Basic { cause: "it is off".to_owned() };
    let failing = Mode::Basic { cause: "it holds a value that is not finite".to_owned() };
    for (judge, mode) in [(None, off), (Some(fails), failing), (Some(advanced::judge as Judge), Mode::Advanced)] {
        let mut host = Host::new(Limits::default(), judge);
        host.calm_for(60, 10.0);
        let report = (0..4).map(|second| host.load(if second % 2 == 0 { 95.0 } else { 10.0 })).last().expect("one");
        assert_eq!((advice(&report), &report.mode), (vec![SHED], &mode));
        let is_basic = mode != Mode::Advanced;
        assert_eq!(report.narrative.contains("Basic physics only"), is_basic, "{}", report.narrative);
        assert_eq!(report.advanced.is_none(), is_basic);
    }
}

#[test]
fn what_is_not_measured_is_unknown_and_never_a_veto() {
    let mut sentinel = Sentinel::new("host-a", Limits::default(), Some(advanced::judge));
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0];
    let told = |second: i64| {
        let value = Some(odd[usize::try_from(second).expect("small") % 4]);
        Vitals { at_ms: second * 1_000, cpu: value, memory: value, received: value, sent: value }
    };
    for second in 1..100 {
        let report = sentinel.observe(second * 1_000, &[told(second)]);
        let seen = report.sensors.each_ref().map(|sense| (sense.condition, sense.value, sense.why));
        assert_eq!(seen, [(Condition::Unknown, None, Some(Why::NotMeasured)); 3]);
        assert_eq!((report.load, report.advanced, report.vetoes), (None, None, vec![]));
    }
}

#[test]
fn samples_from_far_in_the_future_do_not_shut_out_the_present() {
    let mut host = Host::basic();
    host.calm_for(10, 20.0);
    let future = Vitals { at_ms: host.at_ms + 86_400_000, cpu: Some(50.0), ..Vitals::default() };
    host.sentinel.observe(host.at_ms, &[future, Vitals { at_ms: i64::MAX, ..future }]);
    let report = host.calm_for(10, 20.0);
    assert_eq!((report.load.map(|load| load.samples), report.lag_s), (Some(20), Some(0.0)));
}
