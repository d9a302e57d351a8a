//! The files that start it elsewhere, against what they refer to. Compose files and Dockerfile are linted by `make lint-files`; of
//! the other two no package carries the schema.

use std::path::Path;

use serde_json::{Value, json};
use sre_space_ports::bus::Topic;

fn text(path: &str) -> String {
    std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path)).expect("a readable file")
}

fn yaml(path: &str) -> Value {
    serde_saphyr::from_str(&text(path)).expect("YAML")
}

fn is_static(path: &str) -> bool {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("static").join(path.trim_start_matches('/')).is_file()
}

#[test]
fn render_asks_for_both_secrets_and_brings_its_redis() {
    let blueprint = yaml("render.yaml");
    let (web, redis) = (&blueprint["services"][0], &blueprint["services"][1]);
    assert_eq!(
        (&web["type"], &web["runtime"], &web["healthCheckPath"]),
        (&json!("web"), &json!("docker"), &json!("/readyz"))
    );
    let variable = |key: &str| {
        let all = web["envVars"].as_array().expect("variables");
        all.iter().find(|variable| variable["key"] == key).unwrap_or(&Value::Null).clone()
    };
    for secret in ["OPENAI_API_KEY", "GITHUB_PERSONAL_ACCESS_TOKEN"] {
        assert_eq!(variable(secret), json!({"key": secret, "sync": false}), "asked for, and in no file");
    }
    assert_eq!(variable("ENV")["value"], "cloud");
    assert_eq!(redis["type"], "keyvalue");
    let address = json!({"type": "keyvalue", "name": redis["name"], "property": "connectionString"});
    assert_eq!(variable("REDIS_URL")["fromService"], address);
}

#[test]
fn vercel_serves_files_that_there_are() {
    let project: Value = serde_json::from_str(&text("vercel.json")).expect("JSON");
    assert_eq!(project["outputDirectory"], "static");
    let rewrites = project["rewrites"].as_array().expect("rewrites");
    let missing = |destination: &str| !is_static(destination);
    assert!(!rewrites.iter().any(|rewrite| rewrite["destination"].as_str().is_none_or(missing)), "{rewrites:?}");
    let page = text("static/monitor.html");
    let assets = page.split('"').filter(|part| part.starts_with('/'));
    assert_eq!(assets.filter(|asset| missing(asset)).collect::<Vec<_>>(), Vec::<&str>::new());
}

#[test]
fn the_collector_writes_to_the_topics_that_are_read() {
    let kafka = &yaml("deploy/collector.yaml")["exporters"]["kafka"];
    for (signal, topic) in [("traces", Topic::Spans), ("metrics", Topic::Metrics), ("logs", Topic::Logs)] {
        assert_eq!(kafka[signal], json!({"topic": topic.name(), "encoding": "otlp_proto"}));
    }
}

#[test]
fn compose_files_bring_what_they_promise_and_the_demo_s_own_address() {
    for (file, promised) in [
        ("docker-compose.yml", &["sre-space", "marketplace", "redis"][..]),
        (
            "docker-compose.local.yml",
            &["sre-space", "marketplace", "kafka", "collector", "jaeger", "qdrant", "postgres"],
        ),
    ] {
        let composed = yaml(file);
        let services = composed["services"].as_object().expect("services");
        assert!(promised.iter().all(|name| services.contains_key(*name)), "{file}");
        assert_eq!(services["sre-space"]["environment"]["SRE_SPACE_DEMO_URL"], "http://127.0.0.1:7101", "{file}");
        assert_eq!(services["marketplace"]["network_mode"], "service:sre-space", "{file}");
        let ports = services.values().filter_map(|service| service["ports"].as_array()).flatten();
        let open: Vec<&Value> =
            ports.filter(|port| !port.as_str().is_some_and(|port| port.starts_with("127.0.0.1:"))).collect();
        assert!(open.is_empty(), "{file}: {open:?} is open to the network");
    }
}
