//! The marketplace as a program of its own.

use std::process::ExitCode;

fn main() -> ExitCode {
    marketplace::run(std::env::args_os().skip(1))
}
