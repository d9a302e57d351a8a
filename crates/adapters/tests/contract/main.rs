//! Each backend against its contract. Every backend runs under its own name: `forge/local/repeating_changes_nothing`.

mod forge;

fn main() {
    let arguments = libtest_mimic::Arguments::from_args();
    let trials = forge::trials();
    libtest_mimic::run(&arguments, trials).exit();
}
