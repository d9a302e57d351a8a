//! The stand-in for GitHub over the demo's own repository: what is merged there is what the owners' deployer deploys.

use serde_json::Value;
use sre_space_github::{APP, Caller, Github, KEY_PKCS8, Merge, REPOSITORY};
use sre_space_stage::text;
use tempfile::TempDir;

pub struct OnGithub {
    github: Github,
    folder: Option<TempDir>,
}

impl OnGithub {
    pub fn start() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let github = Github::start(&folder.path().join("marketplace.git"), Caller::minimal());
        Self { github, folder: Some(folder) }
    }

    pub fn env(&self) -> [(&'static str, String); 5] {
        [
            ("SRE_SPACE_FORGE", "github".to_owned()),
            ("GITHUB_API_URL", self.github.url()),
            ("GITHUB_REPOSITORY", REPOSITORY.to_owned()),
            ("GITHUB_APP_ID", APP.to_owned()),
            ("GITHUB_APP_PRIVATE_KEY", KEY_PKCS8.to_owned()),
        ]
    }

    /// The folder its repository is made in, for the stage.
    pub fn folder(&mut self) -> TempDir {
        self.folder.take().expect("one stage")
    }

    pub fn stop(&mut self) {
        self.github.stop();
    }

    /// The request log tells the incidents' changes, each once: one pull request and one merge a change, of the very head the
    /// incident names; one issue an incident.
    pub fn accounts_for(&self, incidents: &Value) {
        let incidents = incidents.as_array().expect("a list");
        let changed: Vec<Merge> = incidents
            .iter()
            .filter(|incident| incident["change"]["revision"].is_string())
            .map(|incident| Merge {
                number: incident["change"]["pr"].as_u64().expect("a number"),
                head: text(incident, "/change/commit").to_owned(),
                revision: text(incident, "/change/revision").to_owned(),
            })
            .collect();
        assert!(!changed.is_empty(), "nothing was merged");
        assert_eq!(self.github.merges(), changed);
        let log = self.github.log();
        let done = |call: &str| log.iter().filter(|line| line.call == call && line.status < 300).count();
        let calls = ["POST /git/refs", "POST /git/commits", "POST /pulls", "PUT /pulls/{pull_number}/merge"];
        assert_eq!(calls.map(done), [changed.len(); 4]);
        assert_eq!(self.github.issues(), (incidents.len(), incidents.len()));
        assert_eq!(done("POST /issues"), incidents.len());
        let refused: Vec<_> = log.iter().filter(|line| line.status >= 400 && line.status != 404).collect();
        assert!(refused.is_empty(), "{refused:?}");
    }
}
