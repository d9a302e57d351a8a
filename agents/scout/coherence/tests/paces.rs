//! Exporters that tell every second, every ten and every minute; spans that come in batches.

use super::*;

const STEPS_MS: [i64; 3] = [1_000, 10_000, 60_000];

#[test]
fn a_leak_is_confirmed_some_fifteen_points_after_it_began_at_any_pace() {
    for step_ms in STEPS_MS {
        for seed in 1..=5 {
            let (mut town, noise) = (Town::new(true), dice(seed));
            town.step_ms = step_ms;
            town.memory(60, |at| 60.0 * MB + 0.1 * MB * noise(at));
            assert_eq!(town.suspected, [], "{step_ms} ms, seed {seed}");
            // The limit is a hundred points away: at one a minute, that is more than an hour and a half.
            let mut points = 0;
            while town.confirmed.is_empty() && points < 40 {
                points += 1;
                town.memory(1, |_| 60.0 * MB + 3.24 * MB * f64::from(points) + 0.1 * MB * noise(points));
            }
            assert!(points <= 17, "{points} points of {step_ms} ms, seed {seed}");
        }
    }
}

#[test]
fn calm_memory_and_what_fills_a_cache_say_nothing_at_any_pace() {
    for seed in 1..=10 {
        let roll = dice(seed);
        let fills = |at: u32, most: f64, points: f64| most * (1.0 - (-f64::from(at) / points).exp());
        let kinds: [&dyn Fn(u32) -> f64; 6] = [
            &|at| 60.0 * MB + MB * roll(at),
            &|at| fills(at, 60.0 * MB, 3.0) + 0.2 * MB * roll(at),
            &|at| 20.0 * MB + fills(at, 60.0 * MB, 60.0) + 0.2 * MB * roll(at),
            &|at| 20.0 * MB + fills(at, 150.0 * MB, 100.0) + 0.2 * MB * roll(at),
            &|at| if at < 100 { 60.0 * MB } else { 120.0 * MB } + 0.2 * MB * roll(at),
            &|at| 60.0 * MB + 4.0 * MB * f64::from(at % 8) + 0.2 * MB * roll(at),
        ];
        for (step_ms, (number, kind)) in
            STEPS_MS.iter().flat_map(|step| kinds.iter().enumerate().map(move |it| (step, it)))
        {
            let mut town = Town::new(true);
            (town.step_ms, town.serves) = (*step_ms, 0);
            town.memory(200, kind);
            assert_eq!(town.confirmed, [], "kind {number}, {step_ms} ms, seed {seed}");
        }
    }
}

#[test]
fn a_new_process_that_leaks_from_its_start_is_seen_once_it_is_no_filling() {
    let mut town = Town::new(true);
    town.memory(70, |at| 20.0 * MB + 1.5 * MB * f64::from(at));
    assert_eq!((town.suspected.len(), town.confirmed.len()), (1, 1));
}

impl Town {
    /// So many batches of requests of the shop, every five seconds, and of the bank two seconds after them.
    fn batches(&mut self, batches: u32, requests: u64, times: u64) {
        for _ in 0..batches {
            self.now_ms += 3_000;
            let from = self.number;
            let id = |number: u64, part: u64| SpanId((number * 100 + part).to_be_bytes());
            for number in from + 1..=from + requests {
                self.number = number;
                (0..times)
                    .for_each(|call| self.span("shop", SpanKind::Client, (id(number, 10 + call), Some(id(number, 1)))));
                self.span("shop", SpanKind::Server, (id(number, 1), None));
            }
            self.judge();
            self.now_ms += 2_000;
            for number in from + 1..=from + requests {
                (0..times).for_each(|call| {
                    self.span("bank", SpanKind::Server, (id(number, 50 + call), Some(id(number, 10 + call))));
                });
            }
            self.judge();
        }
    }
}

#[test]
fn calls_told_in_batches_and_few_of_them_are_judged_too() {
    // Twenty requests a second, and two.
    for requests in [100, 10] {
        let mut town = Town::new(true);
        town.batches(60, requests, 1);
        assert_eq!(town.suspected, [], "{requests}");
        town.batches(30, requests, 2);
        let signal = town.confirmed.first().unwrap_or_else(|| panic!("{requests}: {:?}", town.suspected));
        assert_eq!(signal.sources, ["shop", "bank"]);
        let Some(Coherence::Calls(calls)) = signal.coherence else { panic!("no numbers: {signal:?}") };
        assert!(signal.coherence.and_then(|numbers| numbers.agreement()) > Some(0.95), "{calls:?}");
    }
}
