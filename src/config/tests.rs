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

#[test]
fn the_example_names_every_setting_and_changes_nothing() {
    let example = include_str!("../../.env.example");
    assert_eq!(example, super::example(), "write it again with `sre-space config example > .env.example`");
    assert!(example.lines().all(|line| line.is_empty() || line.starts_with('#')));
}

#[test]
fn the_files_that_start_it_name_settings_that_there_are() {
    let files = [
        include_str!("../../Dockerfile"),
        include_str!("../../docker-compose.yml"),
        include_str!("../../docker-compose.local.yml"),
        include_str!("../../render.yaml"),
    ];
    let is_name = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let words = files.iter().flat_map(|text| text.split(|c| !is_name(c)));
    let unknown: Vec<&str> = words.filter(|word| word.starts_with("SRE_SPACE_") && key(word).is_none()).collect();
    assert_eq!(unknown, Vec::<&str>::new());
}

#[test]
fn the_cloud_is_reached_from_outside_and_what_is_set_counts() {
    let cloud = read(&[("ENV", "cloud")]).expect("the cloud");
    assert_eq!((cloud.profile.as_str(), cloud.http), ("cloud", "0.0.0.0:8001".parse().expect("address")));
    assert_eq!(cloud.otlp_grpc, "0.0.0.0:4317".parse().ok());
    assert_eq!(read(&[("RENDER", "true")]).expect("hosted").profile, "cloud");
    assert_eq!(read(&[("RENDER", "true"), ("ENV", "local")]).expect("hosted").profile, "local");
    let set = read(&[("ENV", "cloud"), ("SRE_SPACE_HTTP_ADDR", "127.0.0.1:9000")]).expect("set");
    assert_eq!(set.http, "127.0.0.1:9000".parse().expect("address"));
    let hosted = read(&[("ENV", "cloud"), ("PORT", "10000")]).expect("hosted");
    assert_eq!(hosted.http, "0.0.0.0:10000".parse().expect("address"));
    assert_eq!(read(&[("SRE_SPACE_PROFILE", "moon")]).expect_err("no profile").0.len(), 1);
}

#[test]
fn channels_are_checked_all_at_once_and_no_secret_is_shown() {
    let wrong = [
        ("SLACK_WEBHOOK_URL", "http://hooks.slack.example/s3cret"),
        ("SLACK_BOT_TOKEN", "xoxb-s3cret"),
        ("PAGERDUTY_ROUTING_KEY", "s3cret"),
        ("SMTP_URL", "http://ann:s3cret@mail.example"),
        ("ALERT_EMAIL", "nobody"),
        ("SRE_SPACE_WEBHOOK_URL", "https://hooks.example/s3cret"),
        ("SRE_SPACE_PUBLIC_URL", "monitor"),
    ];
    let mistakes = read(&wrong).expect_err("mistakes");
    let keys: Vec<_> = mistakes.0.iter().map(|mistake| mistake.key.as_str()).collect();
    let expected = [
        "SLACK_WEBHOOK_URL",
        "SLACK_CHANNEL",
        "PAGERDUTY_ROUTING_KEY",
        "SMTP_URL",
        "ALERT_EMAIL",
        "SMTP_FROM",
        "SRE_SPACE_WEBHOOK_SECRET",
        "SRE_SPACE_PUBLIC_URL",
    ];
    assert_eq!(keys, expected);
    assert!(!mistakes.to_string().contains("s3cret"), "{mistakes}");
    let right = [
        ("SLACK_WEBHOOK_URL", "https://hooks.slack.example/s3cret"),
        ("PAGERDUTY_ROUTING_KEY", "s3crets3crets3crets3crets3crets3"),
        ("SMTP_URL", "smtps://ann:s3cret@mail.example"),
        ("ALERT_EMAIL", "ann@example.org, ben@example.org"),
        ("SRE_SPACE_WEBHOOK_URL", "https://hooks.example/s3cret"),
        ("SRE_SPACE_WEBHOOK_SECRET", "s3cret"),
    ];
    let channels = read(&right).expect("channels").channels;
    assert_eq!(format!("{channels:?}"), r#"["slack", "pagerduty", "mail", "webhook"]"#);
}

#[test]
fn what_takes_openssl_is_refused_by_a_build_without_it() {
    let refused = |pairs: &[(&str, &str)]| read(&[&[("SRE_SPACE_BUS", "kafka")], pairs].concat()).is_err();
    let plain = [("KAFKA_SECURITY_PROTOCOL", "SASL_PLAINTEXT"), ("KAFKA_SASL_MECHANISM", "PLAIN")];
    assert!(!refused(&plain));
    let is_without = !cfg!(feature = "kafka-tls");
    for takes_it in [("KAFKA_SECURITY_PROTOCOL", "SASL_SSL"), ("KAFKA_SASL_MECHANISM", "SCRAM-SHA-512")] {
        assert_eq!(refused(&[plain[0], plain[1], takes_it]), is_without, "{takes_it:?}");
    }
}
