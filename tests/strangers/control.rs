//! The product alone: a control plane with nothing configured but its ports, its folder and, where there is one, a repository.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Where OTLP goes.
#[derive(Clone)]
pub struct Endpoints {
    /// Over gRPC.
    pub grpc: String,
    /// Over HTTP.
    pub http: String,
}

/// A running control plane; it ends with this.
pub struct Control {
    /// Where OTLP goes.
    pub endpoints: Endpoints,
    api: String,
    client: reqwest::Client,
    dir: PathBuf,
    child: Child,
}

impl Control {
    /// Starts it over an empty repository and waits until it is ready.
    pub async fn start(dir: &Path, repo: &Path) -> Self {
        git2::Repository::init_bare(repo).expect("a repository");
        let [api, grpc, http] = [(); 3].map(|()| format!("127.0.0.1:{}", sre_space_stage::free_port()));
        let log = std::fs::File::create(dir.join("control-plane.log")).expect("a log");
        let child = Command::new(env!("CARGO_BIN_EXE_sre-space"))
            .arg("serve")
            .current_dir(dir)
            .env("SRE_SPACE_HTTP_ADDR", &api)
            .env("SRE_SPACE_OTLP_GRPC_ADDR", &grpc)
            .env("SRE_SPACE_OTLP_HTTP_ADDR", &http)
            .env("SRE_SPACE_DATA_DIR", dir.join("control-plane"))
            .stdout(Stdio::from(log.try_clone().expect("a log")))
            .env("SRE_SPACE_REPO", repo)
            .stderr(Stdio::from(log))
            .spawn()
            .expect("the control plane starts");
        let [api, grpc, http] = [api, grpc, http].map(|address| format!("http://{address}"));
        let control = Self {
            endpoints: Endpoints { grpc, http },
            api,
            client: sre_space_tls::client(),
            dir: dir.to_owned(),
            child,
        };
        let ready = |ready: &Value| ready["status"] == "ready";
        control.until("a ready control plane", Duration::from_secs(30), "/ready", ready).await;
        control
    }

    /// Reads the API.
    pub async fn get(&self, path: &str) -> Value {
        let answer = self.client.get(format!("{}{path}", self.api)).send().await;
        match answer {
            Ok(answer) => answer.json().await.unwrap_or_default(),
            Err(_) => Value::Null,
        }
    }

    /// Waits until what a route answers is as wanted; answers it.
    pub async fn until(&self, what: &str, patience: Duration, path: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        let began = Instant::now();
        let mut look = tokio::time::interval(Duration::from_millis(250));
        loop {
            look.tick().await;
            let found = self.get(path).await;
            if wanted(&found) {
                return found;
            }
            assert!(began.elapsed() < patience, "waited {patience:?} for {what}: {found:#}");
        }
    }

    /// Waits until the newest incident that did not fade is in one of the states.
    pub async fn incident_in(&self, states: &[&str], patience: Duration) -> Value {
        let newest = |listed: &Value| {
            let all = listed.as_array().cloned().unwrap_or_default();
            all.into_iter().find(|incident| incident["state"] != "suppressed").unwrap_or_default()
        };
        let ended = |listed: &Value| states.iter().any(|state| newest(listed)["state"] == *state);
        newest(&self.until(&format!("an incident in {states:?}"), patience, "/api/v1/incidents", ended).await)
    }

    /// Every pull request of the product passes `verify-proof`.
    pub async fn proves_every_pull_request(&self) {
        let activity = self.get("/api/git-activity").await;
        let pulls = activity["pull_requests"].as_array().cloned().unwrap_or_default();
        assert!(!pulls.is_empty(), "{activity:#}");
        for pull in pulls {
            let file = self.dir.join("pull-request.md");
            std::fs::write(&file, pull["body"].as_str().unwrap_or_default()).expect("a file");
            let run = Command::new(env!("CARGO_BIN_EXE_sre-space")).arg("verify-proof").arg(&file).output();
            let run = run.expect("the command runs");
            assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stdout));
        }
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        _ = self.child.kill();
        _ = self.child.wait();
    }
}

/// A service's node of the graph.
pub fn node(services: &Value, service: &str) -> Value {
    let nodes = services["nodes"].as_array().cloned().unwrap_or_default();
    nodes.into_iter().find(|node| node["service"] == service).unwrap_or_default()
}

/// Requests that a service is known to have served.
pub fn requests(services: &Value, service: &str) -> u64 {
    node(services, service)["requests"].as_u64().unwrap_or_default()
}
