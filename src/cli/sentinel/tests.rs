//! The view in two sizes, lines, and a source that fails.

use std::sync::Arc;

use ratatui::Terminal;
use ratatui::backend::TestBackend;
use sre_space_ports::doubles::source::ScriptedSource;
use sre_space_ports::source::{Reading, Source, SourceError, Told, names};

use super::view::Screen;
use super::*;

fn settings() -> config::Sentinel {
    Given::default().settings().expect("defaults").sentinel
}

async fn simulated(seed: u64, ticks: usize) -> Vec<Look> {
    let mut watch = Watch::new(Feed::simulated(seed), &settings());
    let mut looks = Vec::new();
    for _ in 0..ticks {
        looks.push(watch.look().await.expect("a look"));
    }
    looks
}

fn drawn(looks: Vec<Look>, (width, height): (u16, u16)) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).expect("a terminal");
    let screen = Screen::after(looks);
    terminal.draw(|frame| view::draw(frame, &screen)).expect("a frame");
    terminal.backend().to_string()
}

#[tokio::test]
async fn the_view_fits_a_small_terminal() {
    insta::assert_snapshot!(drawn(simulated(7, 57).await, (80, 24)));
}

#[tokio::test]
async fn the_view_fills_a_large_terminal() {
    insta::assert_snapshot!(drawn(simulated(7, 80).await, (200, 50)));
}

#[tokio::test]
async fn the_view_survives_any_terminal_and_no_look() {
    let looks = simulated(7, 60).await;
    for size in [(1, 1), (20, 5), (80, 10), (300, 3), (79, 23)] {
        drawn(looks.clone(), size);
        drawn(Vec::new(), size);
    }
}

#[tokio::test]
async fn lines_tell_load_sigma_vetoes_and_why() {
    let looks = simulated(7, 57).await;
    let lines: Vec<String> = [2, 12, 25, 57].map(|tick: usize| lines::line(&looks[tick - 1])).into();
    insta::assert_snapshot!(lines.join("\n"));
    let mut tally = lines::Tally::default();
    simulated(7, 80).await.iter().for_each(|look| tally.note(look));
    insta::assert_snapshot!(tally.summary());
}

fn readings(host: &str, at_ms: &[i64]) -> Vec<Reading> {
    let reading =
        |at_ms: &i64| Reading { host: host.to_owned(), metric: names::CPU.to_owned(), at_ms: *at_ms, value: 0.5 };
    at_ms.iter().map(reading).collect()
}

fn unreachable() -> SourceError {
    SourceError::Unreachable { name: "scripted", why: "no route\u{1b}[31m".to_owned() }
}

#[tokio::test]
async fn a_source_that_fails_is_told_as_trouble_and_asked_again_from_where_it_ended() {
    let now = jiff::Timestamp::now().as_second() * 1_000;
    let at_ms: Vec<i64> = (1..=6).map(|back| now - 1_000 * (7 - back)).collect();
    let told = [readings("b", &at_ms), readings("a\n\u{1b}[31m", &at_ms[..2])].concat();
    let answers = vec![Ok(Told { readings: told, ..Told::default() }), Err(unreachable()), Ok(Told::default())];
    let source = ScriptedSource::new(answers.into_iter().map(Some));
    let mut watch = Watch::new(Feed::polled((Arc::clone(&source) as Arc<dyn Source>, None), None, 60_000), &settings());
    let first = watch.look().await.expect("a look");
    assert_eq!((first.report.host.as_str(), first.trouble), ("b", None), "the host that is told most of");
    assert_eq!(first.report.load.map(|load| (load.newest, load.samples)), Some((50.0, 6)));
    let second = watch.look().await.expect("a look");
    assert_eq!(second.trouble.as_deref(), Some("scripted cannot be reached: no route31m"));
    let third = watch.look().await.expect("a look");
    assert_eq!((third.trouble, third.report.load.map(|load| load.samples)), (None, Some(6)));
    let since: Vec<i64> = source.asked_since_ms();
    assert!(since[0] <= now - 59_000 && since[1..] == [at_ms[5] + 1, at_ms[5] + 1], "{since:?} {at_ms:?}");
}

#[tokio::test]
async fn what_a_source_refuses_at_once_ends_the_command() {
    let refused = || SourceError::Refused { name: "scripted", why: "no key".to_owned() };
    let mut watch =
        Watch::new(Feed::polled((ScriptedSource::new([Some(Err(refused()))]), None), None, 60_000), &settings());
    assert_eq!(watch.look().await.expect_err("refused").to_string(), refused().to_string());
    let mut watch =
        Watch::new(Feed::polled((ScriptedSource::new([Some(Err(unreachable()))]), None), None, 60_000), &settings());
    assert!(watch.once(Duration::ZERO).await.is_err(), "a single look that found nothing is no success");
}

#[tokio::test]
async fn one_look_waits_for_the_end_of_the_warm_up() {
    let mut watch = Watch::new(Feed::simulated(7), &settings());
    let look = watch.once(Duration::ZERO).await.expect("a look");
    assert_eq!((look.report.status, look.report.tick), (Status::Nominal, 5));
}

#[tokio::test]
async fn rates_of_packets_are_counted_up_and_a_slow_source_gets_a_longer_window() {
    let now = jiff::Timestamp::now().as_millisecond();
    let one = |metric: &str, at_ms: i64, value: f64| Reading {
        host: "a".to_owned(),
        metric: metric.to_owned(),
        at_ms,
        value,
    };
    let told = (0..20_i64).flat_map(|back| {
        let at_ms = now - 15_000 * (20 - back);
        [one(names::RECEIVED_RATE, at_ms, 100.0), one(names::SENT_RATE, at_ms, 150.0), one(names::CPU, at_ms, 0.25)]
    });
    let source = ScriptedSource::new([Some(Ok(Told { readings: told.collect(), ..Told::default() }))]);
    let mut watch = Watch::new(Feed::polled((source, None), None, 60_000), &settings());
    let report = watch.look().await.expect("a look").report;
    let immune = &report.sensors[2];
    assert_eq!((immune.condition, immune.value, immune.limit), (Condition::Veto, Some(1.5), 1.1));
    assert_eq!(report.load.map(|load| load.samples), Some(12), "a sample each 15 s, and a window of 60 s");
}
