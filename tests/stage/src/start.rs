//! Prepares a folder and starts the processes of a play.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use marketplace::platform::{DEPLOYER, Platform, Ports};
use rustix::process::Pid;

use crate::{SERVICES, Setup, free_port};

/// The platform file and the seeded repository.
pub(crate) fn prepare(dir: &Path, otlp_port: u16, setup: &Setup) -> Platform {
    let tokens: BTreeMap<_, _> =
        SERVICES.iter().chain([&DEPLOYER]).map(|name| ((*name).to_owned(), format!("token-of-{name}"))).collect();
    let platform = Platform {
        dir: dir.to_owned(),
        repo: dir.join("marketplace.git"),
        exe: PathBuf::from(setup.binary),
        exe_args: vec!["user-plane".to_owned()],
        ports: Ports { web: free_port(), quote_engine: free_port(), rating_provider: free_port() },
        otlp_endpoint: format!("http://127.0.0.1:{otlp_port}"),
        ingest_tokens: tokens,
        load: setup.load,
        is_uneven: setup.is_uneven,
        dirty_share: setup.dirty_share,
    };
    platform.write(&dir.join("platform.json")).expect("the platform file");
    marketplace::seed::ensure(&platform).expect("the seeded repository");
    edit(&platform.repo, ".sre-space.yaml", setup.edit_rules);
    platform
}

/// Commits an edited file to main, as its owners would.
pub fn edit(repo: &Path, path: &str, change: impl Fn(String) -> String) {
    let repo = git2::Repository::open_bare(repo).expect("the repository");
    let head = repo.revparse_single("main").and_then(|object| object.peel_to_commit()).expect("main");
    let tree = head.tree().expect("a tree");
    let old = tree.get_path(Path::new(path)).expect("the file");
    let blob = repo.find_blob(old.id()).expect("a blob");
    let text = String::from_utf8(blob.content().to_vec()).expect("text");
    let new = change(text.clone());
    if new == text {
        return;
    }
    let id = repo.blob(new.as_bytes()).expect("a new blob");
    let mut update = git2::build::TreeUpdateBuilder::new();
    update.upsert(path, id, git2::FileMode::Blob);
    let tree = update.create_updated(&repo, &tree).and_then(|id| repo.find_tree(id)).expect("a new tree");
    let owner = git2::Signature::now("owners", "owners@example.com").expect("a signature");
    repo.commit(Some("refs/heads/main"), &owner, &owner, &format!("Edit {path}"), &tree, &[&head]).expect("a commit");
}

/// The built-in policies with one more.
pub(crate) fn policies_with(dir: &Path, extra: &str) -> PathBuf {
    let target = dir.join("policies");
    std::fs::create_dir_all(&target).expect("a folder");
    let built_in = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../policies");
    for name in ["schema.cedarschema", "baseline.cedar", "remediation.cedar"] {
        std::fs::copy(built_in.join(name), target.join(name)).expect("a copied policy");
    }
    std::fs::write(target.join("operator.cedar"), extra).expect("the extra policy");
    target
}

/// Starts a control plane.
pub(crate) fn serve(
    program: &[String],
    dir: &Path,
    platform: &Platform,
    (api, grpc): (u16, u16),
    env: &Vec<(&'static str, String)>,
) -> Child {
    let tokens: Vec<String> = platform.ingest_tokens.iter().map(|(name, token)| format!("{name}={token}")).collect();
    let log = std::fs::File::options().create(true).append(true).open(dir.join("control-plane.log")).expect("a log");
    let mut command = Command::new(&program[0]);
    command
        .args(&program[1..])
        .current_dir(dir)
        .env("SRE_SPACE_HTTP_ADDR", format!("127.0.0.1:{api}"))
        .env("SRE_SPACE_OTLP_GRPC_ADDR", format!("127.0.0.1:{grpc}"))
        .env("SRE_SPACE_OTLP_HTTP_ADDR", "off")
        .env("SRE_SPACE_DATA_DIR", dir.join("control-plane"))
        .env("SRE_SPACE_REPO", &platform.repo)
        .env("SRE_SPACE_INGEST_TOKENS", tokens.join(","))
        .envs(env.iter().cloned())
        .stdout(Stdio::from(log.try_clone().expect("a log")))
        .stderr(Stdio::from(log));
    command.spawn().expect("the control plane starts")
}

/// Starts the user plane.
pub(crate) fn start_plane(binary: &str, dir: &Path) -> Child {
    let log = std::fs::File::create(dir.join("user-plane.log")).expect("a log");
    Command::new(binary)
        .args(["user-plane", "up", "--platform"])
        .arg(dir.join("platform.json"))
        .stdin(Stdio::piped())
        .stdout(Stdio::from(log.try_clone().expect("a log")))
        .stderr(Stdio::from(log))
        .spawn()
        .expect("the user plane starts")
}

/// Living processes with their command lines.
pub(crate) fn processes() -> impl Iterator<Item = (Pid, String)> {
    let entries = std::fs::read_dir("/proc").expect("a /proc");
    entries.filter_map(|entry| {
        let entry = entry.ok()?;
        let pid = Pid::from_raw(entry.file_name().to_str()?.parse().ok()?)?;
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        Some((pid, String::from_utf8_lossy(&line).replace('\0', " ")))
    })
}
