//! Settings → app → run → exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    sre_space::cli::main()
}
