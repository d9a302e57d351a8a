//! Resident memory of the control plane: idle, and under the demo's load with a fault healed meanwhile.
//!
//!     cargo bench --bench resident
//!
//! Prints both with their limits and ends with 1 when one is exceeded.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

const IDLE_MB: f64 = 40.0;
const DEMO_MB: f64 = 120.0;
/// How long each is watched; the most that was seen counts.
const WATCHED: Duration = Duration::from_secs(60);

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Answer<ExitCode> {
    let dir = tempfile::tempdir()?;
    let idle = idle(dir.path())?;
    let loaded = loaded(dir.path())?;
    println!("serve, idle for {} s:                       {idle:6.1} MB (limit {IDLE_MB})", WATCHED.as_secs());
    println!("demo, 150 quotes/s and a 500 healed, {} s:  {loaded:6.1} MB (limit {DEMO_MB})", WATCHED.as_secs());
    let holds = idle <= IDLE_MB && loaded <= DEMO_MB;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn idle(dir: &Path) -> Answer<f64> {
    let repo = dir.join("nothing.git");
    git2::Repository::init_bare(&repo)?;
    let port = free_port()?;
    let mut command = product();
    command
        .arg("serve")
        .current_dir(dir)
        .env("SRE_SPACE_HTTP_ADDR", format!("127.0.0.1:{port}"))
        .envs([("SRE_SPACE_OTLP_GRPC_ADDR", "127.0.0.1:0"), ("SRE_SPACE_OTLP_HTTP_ADDR", "127.0.0.1:0")])
        .env("SRE_SPACE_REPO", repo)
        .env("SRE_SPACE_DATA_DIR", dir.join("idle"));
    watched(command, port)
}

fn loaded(dir: &Path) -> Answer<f64> {
    let port = free_port()?;
    let mut command = product();
    command.args(["demo", "--inject", "500", "--port", &port.to_string(), "--dir"]).arg(dir.join("demo"));
    watched(command, port)
}

fn product() -> Command {
    Command::new(env!("CARGO_BIN_EXE_sre-space"))
}

/// The most that was resident while a server was watched, MB (10^6 bytes).
fn watched(mut command: Command, port: u16) -> Answer<f64> {
    let mut server = command.stdout(Stdio::null()).spawn()?;
    let began = Instant::now();
    let mut most = 0.0_f64;
    while began.elapsed() < WATCHED {
        std::thread::sleep(Duration::from_millis(500));
        most = most.max(resident(port).unwrap_or_default());
    }
    end(&mut server)?;
    if most > 0.0 { Ok(most) } else { Err("the server never told its memory".into()) }
}

fn end(server: &mut Child) -> Answer<()> {
    let pid = rustix::process::Pid::from_raw(i32::try_from(server.id())?).ok_or("a process id")?;
    rustix::process::kill_process(pid, rustix::process::Signal::INT)?;
    server.wait()?;
    Ok(())
}

/// What the server says of itself at `/metrics`.
fn resident(port: u16) -> Answer<f64> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let line = answer.lines().find_map(|line| line.strip_prefix("sre_space_resident_memory_bytes "));
    Ok(line.ok_or("no resident memory")?.trim().parse::<f64>()? / 1e6)
}

fn free_port() -> Answer<u16> {
    Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
