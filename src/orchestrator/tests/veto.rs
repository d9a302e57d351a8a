//! A Sentinel's veto that comes after leave to merge was given.

use sre_space_coherence::sentinel::{Domain, Sensor};
use sre_space_domain::incident::{HumanDecision, Word, admit};
use tokio::time::Instant;

use super::author::{AFTER, BEFORE, PRICING, called, owners, place, until, writing};
use super::*;
use crate::sentinel::Standing;

#[tokio::test]
async fn a_veto_stands_against_a_merge_until_it_is_withdrawn_whoever_gave_leave() {
    let dir = tempfile::tempdir().expect("a folder");
    let server = writing(PRICING, AFTER);
    let (mut context, watched) = place(&dir, &server, &owners("auto", "[\"rules/**\"]")).await;
    let waiting = called(&context, &watched).await;
    let digest = waiting.proposal.as_ref().expect("a proposal").digest.clone();
    let decision = HumanDecision { word: Word::Approve, digest, by: "ada".into() };
    admit(&waiting, &decision, &context.rules, context.now()).expect("in time");
    let approved = incident::step(waiting, Event::Decided(decision), &context.rules, context.now());
    let leave = until(&context, approved, &watched, &Effect::Merge).await.incident;

    let veto =
        Standing { domain: Domain::Compute, host: "vm-1".into(), sensor: Sensor::Seizure, value: 42.5, limit: 10.0 };
    context.vetoes.lock().expect("not poisoned").push(veto);
    context.patience.veto = Duration::from_millis(400);
    let began = Instant::now();
    let Event::Failed(why) = perform(&context, &leave, &Effect::Merge).await else { panic!("vetoed") };
    assert!(why.contains("the Sentinel vetoes COMPUTE"), "{why}");
    assert!(began.elapsed() >= context.patience.veto, "{:?}", began.elapsed());
    assert_eq!(watched.deployed(PRICING), BEFORE);

    let withdrawn = async {
        tokio::time::sleep(context.patience.veto / 2).await;
        context.vetoes.lock().expect("not poisoned").clear();
    };
    let (event, ()) = tokio::join!(perform(&context, &leave, &Effect::Merge), withdrawn);
    assert!(matches!(event, Event::Merged { .. }), "{event:?}");
    assert_eq!(watched.deployed(PRICING), AFTER);
}
