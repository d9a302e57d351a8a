//! The files of a sentence model (`make sentence-model`).

use std::path::{Path, PathBuf};

use crate::Missing;

/// The folder with a model's files.
pub fn sentence_model() -> Result<PathBuf, Missing> {
    let versions = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/lib");
    let packages = folders(&versions).into_iter().flat_map(|version| folders(&version.join("site-packages")));
    let model = packages
        .filter(|package| package.to_string_lossy().contains("minilm"))
        .find_map(|package| weights(&package, 3));
    model.ok_or(Missing("sentence model"))
}

fn folders(of: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(of).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect()
}

/// The folder below this one that holds weights.
fn weights(folder: &Path, depth: usize) -> Option<PathBuf> {
    if folder.join("model.safetensors").is_file() {
        return Some(folder.to_owned());
    }
    let below = depth.checked_sub(1)?;
    folders(folder).iter().find_map(|folder| weights(folder, below))
}
