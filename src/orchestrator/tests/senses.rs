//! What the second sense suspects, beside what requests tell.

use std::sync::Arc;

use sre_space_domain::incident::State;
use sre_space_domain::signal::{Amplification, Coherence, Signal, SignalKind};

use super::super::Orchestrator;
use super::{confirmed, context};

#[tokio::test]
async fn a_mere_suspicion_of_the_second_sense_keeps_no_failing_request_waiting_and_a_failure_explains_it() {
    let dir = tempfile::tempdir().expect("a folder");
    let context = Arc::new(context(&dir).await);
    let failing = confirmed(&context).signal;
    let numbers = Amplification { ratio: 2.0, usual: 1.0, received: Some(2.0), requests: 60 };
    let sensed = Signal {
        operation: "calls per request".into(),
        kind: SignalKind::Amplification,
        coherence: Some(Coherence::Calls(numbers)),
        ..failing.clone()
    };
    for (first, second, is_claimed) in [(&sensed, &failing, false), (&failing, &sensed, true), (&sensed, &sensed, true)]
    {
        let dir = tempfile::tempdir().expect("a folder");
        let context = Arc::new(super::context(&dir).await);
        let mut orchestrator = Orchestrator::resume(context).await.expect("an empty journal");
        orchestrator.open(first.clone()).await.expect("opened");
        assert_eq!(orchestrator.is_claimed(second), is_claimed, "{:?} after {:?}", second.kind, first.kind);
        assert_eq!(orchestrator.detected_near(second).is_some(), first.kind == second.kind);
    }
    let mut orchestrator = Orchestrator::resume(context).await.expect("an empty journal");
    orchestrator.open(sensed).await.expect("opened");
    for (state, is_claimed) in [(State::AwaitingHuman, false), (State::Deciding, false), (State::Verifying, true)] {
        orchestrator.incidents.values_mut().for_each(|incident| incident.state = state);
        assert_eq!(orchestrator.is_claimed(&failing), is_claimed, "{state:?}");
    }
}
