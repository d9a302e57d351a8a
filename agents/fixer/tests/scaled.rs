//! More replicas, and restarts, through the knobs their owners declared.

use super::*;

const PLATFORM: &str = "{\n  \"replicas\": 2,\n  \"restartToken\": 41\n}\n";
const KNOBS: &str = r#"
version: 1
services:
  quote-engine:
    autonomy: auto
    knobs:
      - { name: copies, file: deploy/engine.json, path: replicas, type: replicas, min: 1, max: 4, remedies: [cpu-saturation] }
      - { name: token, file: deploy/engine.json, path: restartToken, type: restart, remedies: [crash-loop] }
"#;

fn platform(remedy: Remedy, fault: FaultKind) -> Result<Proposal, RenderError> {
    let owners = catalogue::parse(KNOBS).expect("good");
    render(&order(remedy, fault), &owners, &base(), &inputs(&[("deploy/engine.json", PLATFORM)], vec![]))
}

fn remedy(kind: KnobType, knob: &str, value: i64) -> Remedy {
    Remedy::turn_as(kind, "quote-engine", knob, KnobValue::Int(value))
}

#[test]
fn replicas_are_added_and_a_token_counted_up() {
    let scaled = platform(remedy(KnobType::Replicas, "copies", 4), FaultKind::CpuSaturation).expect("rendered");
    assert_eq!(scaled.changes, [file("deploy/engine.json", &PLATFORM.replace("2", "4"))]);
    assert!(scaled.rationale.contains("| Remedy | scale `copies` |\n| Value | 2 → 4 |"), "{}", scaled.rationale);
    assert!(scaled.rationale.contains("| Bounds | 1 to 4 in steps of 1 |"), "{}", scaled.rationale);
    let restarted = platform(remedy(KnobType::Restart, "token", 42), FaultKind::CrashLoop).expect("rendered");
    assert_eq!(restarted.changes, [file("deploy/engine.json", &PLATFORM.replace("41", "42"))]);
    assert!(restarted.rationale.contains("| Remedy | restart `token` |"), "{}", restarted.rationale);
    assert_eq!(serde_json::to_value(&restarted).expect("JSON")["remedy"], "restart");
}

#[test]
fn a_knob_is_turned_as_what_it_is() {
    for (kind, knob) in [(KnobType::Int, "copies"), (KnobType::Restart, "copies"), (KnobType::Replicas, "token")] {
        let fault = if knob == "copies" { FaultKind::CpuSaturation } else { FaultKind::CrashLoop };
        assert_eq!(platform(remedy(kind, knob, 3), fault), Err(RenderError::UnknownKnob(knob.to_owned())));
    }
    let beyond = platform(remedy(KnobType::Replicas, "copies", 5), FaultKind::CpuSaturation);
    assert!(matches!(beyond, Err(RenderError::OutOfBounds { .. })), "{beyond:?}");
}
