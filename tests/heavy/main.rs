//! Plays that take the whole machine for minutes: run by name (`cargo test --test heavy`), not with all the others.

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use sre_space_stage::disguise::{Disguise, Recording};
use sre_space_stage::{PATIENCE, Setup, Stage, now_ms, opened_ms, stays_quiet, text, told};

/// A quarter of an hour each of healthy traffic, of one unrelated error in a hundred, and of bursts and near silence: no
/// incident. What was seen is left in `target/tmp`, one trace in twenty, for `tests/quiet` to tell again.
#[tokio::test(flavor = "multi_thread")]
async fn calm_quarters_of_an_hour_are_left_alone() {
    let quarter = |kind: &str, dirty_share: f64, is_uneven: bool| {
        let file = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("{kind}.pb"));
        _ = std::fs::remove_file(&file);
        let record = Some(Recording { file, one_in: 20 });
        let disguise = Some(Disguise { record, ..Disguise::default() });
        let setup = Setup { dirty_share, is_uneven, disguise, ..Setup::of(env!("CARGO_BIN_EXE_sre-space")) };
        stays_quiet(setup, Duration::from_secs(900))
    };
    let (healthy, dirty, uneven) =
        tokio::join!(quarter("healthy", 0.0, false), quarter("dirty", 0.01, false), quarter("uneven", 0.0, true));
    println!("(sent, failed or slow): healthy {healthy:?}, dirty {dirty:?}, uneven {uneven:?}");
    assert!(healthy.1 * 1_000 <= healthy.0, "{healthy:?}");
    let share = dirty.1 as f64 / dirty.0 as f64;
    assert!((0.006..0.014).contains(&share), "{dirty:?}");
    assert!(uneven.0 > 10_000, "{uneven:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_missing_index_heals_at_once_with_each_of_the_others() {
    for other in ["500", "dependency", "bad-deploy"] {
        let stage = Stage::set(Setup { alone: true, ..Setup::of(env!("CARGO_BIN_EXE_sre-space")) }).await;
        stage.inject("latency").await;
        stage.inject(other).await;
        let both = stage.incidents_ended(2, PATIENCE).await;
        let mut kinds: Vec<&str> = both.iter().map(|incident| text(incident, "/diagnosis/kind")).collect();
        kinds.sort_unstable();
        let cause = match other {
            "500" => "pool-exhausted",
            "dependency" => "dependency-timeout",
            _ => "bad-change",
        };
        let mut expected = vec![cause, "slow-query"];
        expected.sort_unstable();
        assert_eq!(kinds, expected, "{other}: {both:#?}");
        let resolved = |incident: &&Value| text(incident, "/state") == "resolved";
        assert_eq!(both.iter().filter(resolved).count(), 2, "{other}: {both:#?}");
        stage.proven().await;
    }
}

/// Quotes a second that make the unbounded cache reach the process's limit in a minute and a half.
const BUSY: f64 = 150.0;

#[tokio::test(flavor = "multi_thread")]
async fn with_that_sense_off_both_are_noticed_later_or_never() {
    for kind in ["memory", "retry-storm"] {
        let env = vec![("SRE_SPACE_COHERENCE", "off".to_owned())];
        let stage =
            Stage::set(Setup { alone: true, load: BUSY, env, ..Setup::of(env!("CARGO_BIN_EXE_sre-space")) }).await;
        let began_ms = now_ms();
        stage.inject(kind).await;
        let opened = stage.opened(PATIENCE).await;
        let told_until_ms = opened.as_ref().map_or_else(now_ms, opened_ms);
        stage
            .until("the traffic generator's count of that second", PATIENCE, async || {
                (stage.last_counted_ms()? > told_until_ms).then_some(())
            })
            .await;
        // Without the harm there was nothing that the sense could have been earlier than.
        let first_bad_ms =
            stage.until("a failed or slow request", PATIENCE, async || stage.first_bad_ms(began_ms)).await;
        println!("{kind}, the second sense off:");
        told("first failed or slow request", began_ms, Some(first_bad_ms));
        told("incident opened", began_ms, opened.as_ref().map(opened_ms));
        if let Some(incident) = opened {
            assert!(["error-rate", "latency"].contains(&text(&incident, "/signal/kind")), "{incident:#}");
            assert!(first_bad_ms <= opened_ms(&incident), "{incident:#}");
        }
    }
}
