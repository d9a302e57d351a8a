//! The owners' check that goes with a change.

use super::*;

const TEMPLATE: &str = "# {incident}\nsetting: { file: config/quote-engine.yaml, at_least: {demand} }\n";

fn checked_owners() -> Catalogue {
    let checks = r#"    checks:
      - { name: pool, template: checks/templates/pool.yaml, into: "checks/{incident}.yaml", reproduces: [pool-exhausted, bad-change] }
"#;
    catalogue::parse(&format!("{OWNERS}{checks}")).expect("good")
}

fn with_check(order: &Order, files: &[(&str, &str)], undo: Vec<FileChange>) -> Result<Proposal, RenderError> {
    render(order, &checked_owners(), &base(), &inputs(files, undo))
}

fn pool_order() -> Order {
    order(turn("db-pool-size", KnobValue::Int(100)), FaultKind::PoolExhausted)
}

#[test]
fn the_pull_request_carries_the_check_with_the_numbers_that_were_measured() {
    let order = pool_order();
    let files = [(CONFIG, YAML), ("checks/templates/pool.yaml", TEMPLATE)];
    let proposal = with_check(&order, &files, vec![]).expect("rendered");
    let path = format!("checks/{}.yaml", order.incident);
    let text = format!("# {}\nsetting: {{ file: config/quote-engine.yaml, at_least: 70 }}\n", order.incident);
    assert_eq!(proposal.changes[0], file(&path, &text));
    assert_eq!(proposal.files, [path.clone(), CONFIG.to_owned()]);
    let stated = proposal.reproduces.expect("a check");
    assert_eq!((stated.check.as_str(), stated.file), ("pool", path.clone()));
    assert!(proposal.rationale.contains(&format!("| Reproduced by | `pool` in `{path}` |")));
    assert_eq!(proposal.digest, digest(&order.incident, &base(), &proposal.changes));
}

#[test]
fn a_check_with_a_hole_in_it_is_left_out() {
    let files = [(CONFIG, YAML), ("checks/templates/pool.yaml", TEMPLATE)];
    let unmeasured = Order { measured: Measured::default(), ..pool_order() };
    for (order, files) in [(unmeasured, &files[..]), (pool_order(), &files[..1])] {
        let proposal = with_check(&order, files, vec![]).expect("rendered");
        assert_eq!((proposal.files.as_slice(), proposal.reproduces), (&[CONFIG.to_owned()][..], None));
    }
}

#[test]
fn a_check_never_makes_a_change_too_large_nor_is_it_one() {
    let order = order(revert_of(&Sha("c".repeat(40))), FaultKind::BadChange);
    let files = [("checks/templates/pool.yaml", TEMPLATE)];
    let three = (0..3).map(|index| file(&format!("rules/{index}"), "1\n")).collect();
    let proposal = with_check(&order, &files, three).expect("rendered");
    assert_eq!((proposal.files.len(), proposal.reproduces), (3, None));
    assert_eq!(with_check(&order, &files, vec![]), Err(RenderError::Nothing));
}

#[tokio::test]
async fn its_template_is_read_from_the_base() {
    let forge = RecordingForge::with_files(&[(CONFIG, YAML), ("checks/templates/pool.yaml", TEMPLATE)]);
    let order = pool_order();
    let gathered = gather(forge.as_ref(), &checked_owners(), &order.remedy, order.fault).await;
    let (_, inputs) = gathered.expect("gathered");
    assert_eq!(inputs.files.get("checks/templates/pool.yaml").map(String::as_str), Some(TEMPLATE));
}
