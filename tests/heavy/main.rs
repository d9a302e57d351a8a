//! Plays that take the whole machine for minutes: run by name (`cargo test --test heavy`), not with all the others.

use serde_json::Value;
use sre_space_stage::{PATIENCE, Setup, Stage, text};

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
