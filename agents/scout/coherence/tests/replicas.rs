//! Several processes of one service, many of them one after the other, and limits of several kinds.

use super::*;

impl Town {
    /// Seconds of several processes: the n-th second of the i-th tells of so many bytes.
    fn replicas(&mut self, seconds: u32, names: &[String], used: impl Fn(usize, u32) -> f64) -> &mut Self {
        for second in 0..seconds {
            self.now_ms += 1_000 - names.len() as i64;
            for (at, name) in names.iter().enumerate() {
                self.now_ms += 1;
                self.tell(name, used(at, second));
            }
            self.judge();
        }
        self
    }
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|at| format!("pod-{at}")).collect()
}

#[test]
fn the_one_of_eight_processes_that_leaks_is_found_whichever_it_is() {
    for leaks in 0..8 {
        let mut town = Town::new(true);
        let noise = dice(leaks as u64);
        town.replicas(60, &names(8), |_, at| 60.0 * MB + 0.1 * MB * noise(at));
        assert_eq!(town.suspected, []);
        town.replicas(25, &names(8), |process, at| {
            let leaked = if process == leaks { 1.5 * MB * f64::from(at) } else { 0.0 };
            60.0 * MB + leaked + 0.1 * MB * noise(at)
        });
        let signal = town.confirmed.first().unwrap_or_else(|| panic!("{leaks} leaks: {:?}", town.suspected));
        let Some(Coherence::Memory(memory)) = signal.coherence else { panic!("no numbers: {signal:?}") };
        let elsewhere = memory.elsewhere_per_s.expect("the same process by the other source");
        assert!(
            (memory.bytes_per_s - 1.5 * MB).abs() < 0.3 * MB && (elsewhere - 1.5 * MB).abs() < 0.3 * MB,
            "{memory:?}"
        );
    }
}

#[test]
fn more_processes_than_are_followed_raise_nothing_and_hide_nothing() {
    let mut town = Town::new(true);
    town.replicas(100, &names(40), |_, _| 60.0 * MB);
    assert_eq!(town.suspected, []);
    town.replicas(25, &names(40), |_, at| 60.0 * MB + 1.5 * MB * f64::from(at));
    assert_eq!(town.confirmed.len(), 1);
}

#[test]
fn twenty_thousand_processes_later_a_new_revision_has_a_name() {
    let mut town = Town::new(true);
    for number in 0..20_000 {
        town.now_ms += 1_000;
        town.tell(&format!("pod-{number}"), 60.0 * MB);
    }
    assert_eq!(town.scout.overflowed(), 0);
}

#[test]
fn a_limit_belongs_to_what_it_limits() {
    let mut town = Town::new(true);
    for second in 0..120 {
        town.now_ms += 1_000;
        let leaked = 1.5 * MB * f64::from(u32::max(second, 80) - 80);
        town.tell("one", 60.0 * MB + leaked);
        town.point(("shop", "one"), "jvm.memory.limit", 100.0 * MB);
        town.point(("shop", "one"), "gpu.memory.usage", 60.0 * MB + 3.0 * MB * f64::from(second));
        town.judge();
    }
    let signal = town.confirmed.first().expect("a confirmed signal");
    assert!(matches!(signal.coherence, Some(Coherence::Memory(memory)) if memory.limit_bytes == LIMIT), "{signal:?}");
    assert!(signal.onset_ms > 1_080_000, "what has no limit of its own says nothing");
}
