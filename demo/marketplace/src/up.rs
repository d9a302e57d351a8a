//! Keeps deployer, checks and traffic running together.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::lifeline;
use crate::platform::Platform;

const ROLES: [&str; 3] = ["deployer", "checks", "traffic"];

/// Runs until the parent lets go. A role that ends is reported; the others go on.
pub fn run(platform: &Platform, file: &Path) -> Result<()> {
    lifeline::hold_hard();
    std::fs::create_dir_all(platform.data())?;
    let mut children =
        ROLES.iter().map(|role| start(platform, role, file).map(|child| (*role, child))).collect::<Result<Vec<_>>>()?;
    while !children.is_empty() {
        children.retain_mut(|(role, child)| match child.try_wait() {
            Ok(None) => true,
            Ok(Some(status)) => {
                eprintln!("{role} ended: {status}");
                false
            }
            Err(error) => {
                eprintln!("{role} is lost: {error}");
                false
            }
        });
        std::thread::sleep(Duration::from_millis(200));
    }
    Ok(())
}

fn start(platform: &Platform, role: &str, file: &Path) -> Result<Child> {
    Command::new(&platform.exe)
        .args(&platform.exe_args)
        .arg(role)
        .arg("--platform")
        .arg(file)
        .stdin(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {role}"))
}
