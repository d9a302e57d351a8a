//! The forge on GitHub: every promise of a forge, what tokens may do, and what happens when GitHub breaks.

mod bench;
mod faults;
mod limits;
mod rights;

use libtest_mimic::Trial;

use self::bench::OnGithub;
use crate::{forge, run};

/// Everything about the forge on GitHub.
pub fn trials() -> Vec<Trial> {
    let promised = forge::promises().into_iter().map(|(name, promise)| {
        let play = async move || promise(&OnGithub::new().await).await;
        Trial::test(format!("forge/github/{name}"), move || run(play()))
    });
    promised.chain(rights::trials()).chain(limits::trials()).chain(faults::trials()).collect()
}
