//! What all books of model calls must do.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use sre_space_domain::budget::{Bound, Exceeded, Limits, Spend};
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::Cost;

use crate::ledger::{Claim, Ledger};

/// Opens the same books again, as a restart would.
pub type Open = dyn Fn() -> Pin<Box<dyn Future<Output = Arc<dyn Ledger>>>>;

fn incident(number: u8) -> IncidentId {
    serde_json::from_value(serde_json::json!(format!("inc_{number:026}"))).expect("an id")
}

fn spend(tokens: u64) -> Spend {
    Spend { tokens, micro_usd: 2 * tokens }
}

fn claim(call: &str, number: u8, day: i64, tokens: u64) -> Claim {
    Claim { call: call.to_owned(), incident: incident(number), day, worst: spend(tokens) }
}

fn tokens(incident: u64, day: u64) -> Limits {
    let bound = |tokens| Bound { tokens: Some(tokens), micro_usd: None };
    Limits { incident: bound(incident), day: bound(day) }
}

fn cost(calls: u64, tokens: u64) -> Cost {
    Cost { calls, tokens, usd: spend(tokens).usd() }
}

/// What was claimed counts at its worst until it is settled, and as it was from then on; also after a restart.
pub async fn a_claim_counts_until_it_is_settled(open: &Open) {
    let limits = tokens(100, 1_000);
    let books = open().await;
    books.claim(&claim("a", 1, 7, 60), &limits).await.expect("written").expect("within the budget");
    let too_much = Err(Exceeded { of: "incident", what: "tokens" });
    assert_eq!(books.claim(&claim("b", 1, 7, 60), &limits).await.expect("read"), too_much);
    drop(books);
    let books = open().await;
    assert_eq!(books.cost(&incident(1)).await.expect("read"), cost(1, 60));
    books.settle("a", Some(spend(40))).await.expect("settled");
    books.claim(&claim("b", 1, 7, 60), &limits).await.expect("written").expect("within the budget");
    assert_eq!(books.cost(&incident(1)).await.expect("read"), cost(2, 100));
    books.settle("b", None).await.expect("taken back");
    assert_eq!(books.cost(&incident(1)).await.expect("read"), cost(1, 40));
    assert_eq!(books.cost(&incident(2)).await.expect("read"), cost(0, 0));
}

/// A day's budget is that of all incidents, and of no other day.
pub async fn a_day_is_shared_and_ends(open: &Open) {
    let (books, limits) = (open().await, tokens(1_000, 100));
    books.claim(&claim("a", 1, 7, 60), &limits).await.expect("written").expect("within the budget");
    let too_much = Err(Exceeded { of: "day", what: "tokens" });
    assert_eq!(books.claim(&claim("b", 2, 7, 60), &limits).await.expect("read"), too_much);
    assert_eq!(books.claim(&claim("b", 2, 8, 60), &limits).await.expect("written"), Ok(()));
}

/// Claims made at the same time do not exceed a budget together.
pub async fn claims_at_once_stay_within_a_budget(open: &Open) {
    let (books, limits) = (open().await, tokens(1_000, 100));
    let mut claims = tokio::task::JoinSet::new();
    for number in 0..40_u8 {
        let books = Arc::clone(&books);
        let claimed = claim(&format!("call-{number}"), number, 7, 10);
        claims.spawn(async move { books.claim(&claimed, &limits).await.expect("written").is_ok() });
    }
    let admitted = claims.join_all().await.into_iter().filter(|is_admitted| *is_admitted).count();
    assert_eq!(admitted, 10);
}
