//! Settings, read from pairs.

use super::*;

fn read(pairs: &[(&str, &str)]) -> Result<Settings, Mistakes> {
    let mut given = Given::default();
    pairs.iter().for_each(|(name, value)| given.set(name, value));
    given.settings()
}

#[test]
fn defaults_work_on_a_laptop() {
    let settings = read(&[]).expect("defaults");
    assert_eq!(settings.http, "127.0.0.1:8001".parse().expect("address"));
    assert_eq!(settings.otlp_grpc, "127.0.0.1:4317".parse().ok());
    assert!(settings.autonomy);
}

#[test]
fn a_port_from_the_platform_listens_everywhere() {
    let settings = read(&[("PORT", "10000")]).expect("port");
    assert_eq!(settings.http, "0.0.0.0:10000".parse().expect("address"));
}

#[test]
fn all_mistakes_are_reported_at_once() {
    let wrong = [
        ("SRE_SPACE_AUTONOMY", "maybe"),
        ("SRE_SPACE_CONFIDENCE_THRESHOLD", "95"),
        ("SRE_SPACE_LATENCY", "800"),
        ("SRE_SPACE_BUS", "carrier-pigeon"),
    ];
    let Mistakes(mistakes) = read(&wrong).expect_err("four mistakes");
    let keys: Vec<_> = mistakes.iter().map(|mistake| mistake.key.as_str()).collect();
    assert_eq!(keys, ["SRE_SPACE_LATENCY", "SRE_SPACE_AUTONOMY", "SRE_SPACE_BUS", "SRE_SPACE_CONFIDENCE_THRESHOLD"]);
    assert!(mistakes[0].wanted.contains("SRE_SPACE_LATENCY_MS"));
}

#[test]
fn an_ingest_token_is_never_shown() {
    let Mistakes(mistakes) = read(&[("SRE_SPACE_INGEST_TOKENS", "s3cret")]).expect_err("no name");
    assert_eq!(mistakes[0].value, "***");
}
