//! A control plane that is killed while a service repeats its calls.

use super::*;

/// A storm that was confirmed, and when it was.
fn storm() -> (Signal, i64) {
    let mut town = Town::new(true);
    town.calls(30, |_| 1).calls(20, |_| 2);
    (town.confirmed.first().expect("a confirmed signal").clone(), town.now_ms)
}

/// What a Scout knows that starts in the middle: the calm times that were written down, or nothing.
fn restarted(remembers: bool) -> Town {
    let mut town = Town::new(true);
    if remembers {
        town.recollects_at = Some(town.now_ms + 100_000);
        town.calls(5, |_| 1);
        (town.recollects_at, town.now_ms) = (None, 1_100_000);
    }
    town
}

#[test]
fn calm_times_say_what_is_usual_and_the_storm_is_confirmed_again() {
    let mut town = restarted(true);
    town.calls(15, |_| 2);
    let signal = town.confirmed.first().expect("a confirmed signal");
    let Some(Coherence::Calls(calls)) = signal.coherence else { panic!("no numbers: {signal:?}") };
    assert!((0.9..=1.1).contains(&calls.usual), "{calls:?}");
    let mut calm = restarted(true);
    calm.calls(60, |_| 1);
    assert_eq!(calm.suspected, []);
}

#[test]
fn what_was_learned_in_the_storm_neither_ends_it_nor_proves_a_cure() {
    let (signal, _) = storm();
    for remembers in [true, false] {
        let mut town = restarted(remembers);
        for _ in 0..40 {
            town.calls(1, |_| 2);
            assert!(!town.scout.passed(&signal, town.now_ms), "it goes on");
        }
        let known = town.scout.evidence(&signal, town.now_ms).signal.coherence;
        assert!(matches!(known, Some(Coherence::Calls(calls)) if (0.9..=1.1).contains(&calls.usual)), "{known:?}");
        let since_ms = town.now_ms;
        town.revision = "two";
        town.calls(20, |_| 2);
        assert_eq!(town.recheck(&signal, since_ms), Some(Outcome::Unchanged), "remembers: {remembers}");
        let since_ms = town.now_ms;
        town.revision = "three";
        town.calls(40, |_| 1);
        assert_eq!(town.recheck(&signal, since_ms), Some(Outcome::Recovered), "remembers: {remembers}");
        assert!(town.scout.passed(&signal, town.now_ms));
    }
}
