//! Each backend against its contract. Every backend runs under its own name: `forge/local/repeating_changes_nothing`.
#![expect(clippy::expect_used, reason = "a contract is a test: it fails by panicking")]

mod embedded;
mod forge;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = embedded::trials().into_iter().chain(forge::trials()).collect();
    libtest_mimic::run(&arguments, trials).exit();
}
