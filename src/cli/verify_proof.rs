//! `verify-proof`: a pull request's proof, computed again.

use std::io::Read as _;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use clap::Args as ClapArgs;
use serde_json::json;
use sre_space_domain::proof::{Finding, Proof};

use super::client::Output;
use super::{BAD, GOOD};

/// Most bytes that are read of a file.
const MOST_BYTES: u64 = 1024 * 1024;

/// Arguments of `verify-proof`.
#[derive(ClapArgs)]
pub struct Args {
    /// The proof's JSON, or a pull request's body that carries it.
    file: PathBuf,
    /// How to print the findings.
    #[arg(short, long, value_name = "FORMAT", value_enum, default_value_t = Output::Text)]
    output: Output,
}

/// Exit code 0 when everything holds, 1 when anything does not or there is no proof in the file.
pub fn run(args: &Args) -> Result<u8> {
    let name = args.file.display();
    let file = std::fs::File::open(&args.file).with_context(|| format!("cannot read {name}"))?;
    let mut text = String::new();
    file.take(MOST_BYTES).read_to_string(&mut text).with_context(|| format!("{name} is not text"))?;
    let proof = Proof::read(&text).with_context(|| name.to_string())?;
    let findings = proof.findings();
    let holds = findings.iter().all(|finding| finding.holds);
    match args.output {
        Output::Json => println!(
            "{}",
            json!({
                "incident": proof.incident, "attempt": proof.attempt, "holds": holds,
                "findings": findings.iter().map(|finding| {
                    json!({"what": finding.what, "detail": finding.detail, "holds": finding.holds})
                }).collect::<Vec<_>>(),
            })
        ),
        Output::Text => {
            findings.iter().for_each(|finding| println!("{}", line(finding)));
            let word = if holds { "holds" } else { "does not hold" };
            println!("the proof of {}, attempt {}, {word}", proof.incident, proof.attempt);
        }
    }
    Ok(if holds { GOOD } else { BAD })
}

fn line(finding: &Finding) -> String {
    format!("{:<6} {:<10} {}", if finding.holds { "ok" } else { "WRONG" }, finding.what, finding.detail)
}
