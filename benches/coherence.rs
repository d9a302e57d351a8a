//! The Data Coherence Engine over a window of 100,000 records: the figures alone, and through HTTP.
//!
//!     cargo bench --bench coherence
//!
//! Prints each with its limit, the median of several, and ends with 1 when one is exceeded. Through HTTP it is the product's own
//! program with a recording of two signals over 24 hours, which it reads when it starts; the first answer of all, and the answer
//! for which the file is read and parsed anew because it was written again, are printed beside.

use std::fmt::Write as _;
use std::hint::black_box;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use sre_space_coherence::drift::Drift;

const RECORDS: u32 = 100_000;
const COMPUTE_MS: f64 = 1.0;
const REQUEST_MS: f64 = 50.0;
const TIMES: usize = 21;

type Answer<T> = Result<T, Box<dyn std::error::Error>>;

fn main() -> Answer<ExitCode> {
    let compute = median((0..TIMES).map(|_| compute()).collect());
    let dir = tempfile::tempdir()?;
    let (port, mut server) = serve(dir.path())?;
    let first = request(port);
    let requests: Answer<Vec<f64>> = (0..TIMES).map(|_| request(port)).collect();
    let anew: Answer<Vec<f64>> = (0..TIMES).map(|_| touch(dir.path()).and_then(|()| request(port))).collect();
    server.kill()?;
    server.wait()?;
    let (first, requests, anew) = (first?, median(requests?), median(anew?));
    println!("mean, stdev and risk of {RECORDS} scores: {compute:8.3} ms (limit {COMPUTE_MS})");
    println!("the window of them through HTTP:      {requests:8.3} ms (limit {REQUEST_MS})");
    println!("the first answer after the start:     {first:8.3} ms");
    println!("after the file was written again:     {anew:8.3} ms");
    let holds = compute <= COMPUTE_MS && requests <= REQUEST_MS;
    Ok(if holds { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn score(n: u32) -> f64 {
    85.0 + f64::from(n % 97) / 10.0
}

fn compute() -> f64 {
    let scores: Vec<f64> = (0..RECORDS).map(score).collect();
    let began = Instant::now();
    black_box(Drift::of(black_box(&scores)).ok());
    ms(began.elapsed())
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(mut times: Vec<f64>) -> f64 {
    times.sort_by(f64::total_cmp);
    times[times.len() / 2]
}

/// Starts the product on a recording; answers its port once it serves.
fn serve(dir: &Path) -> Answer<(u16, Child)> {
    let repo = dir.join("nothing.git");
    git2::Repository::init_bare(&repo)?;
    std::fs::write(dir.join("mock.json"), recording()?)?;
    let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut server = Command::new(env!("CARGO_BIN_EXE_sre-space"))
        .arg("serve")
        .current_dir(dir)
        .env("SRE_SPACE_HTTP_ADDR", format!("127.0.0.1:{port}"))
        .envs([("SRE_SPACE_OTLP_GRPC_ADDR", "off"), ("SRE_SPACE_OTLP_HTTP_ADDR", "off"), ("RUST_LOG", "off")])
        .env("SRE_SPACE_REPO", repo)
        .env("SRE_SPACE_DATA_DIR", dir.join("data"))
        .env("MOCK_PATH", dir.join("mock.json"))
        .stdout(Stdio::piped())
        .spawn()?;
    let told = server.stdout.take().ok_or("its output")?;
    let mut line = String::new();
    BufReader::new(told).read_line(&mut line)?;
    if line.is_empty() {
        return Err(format!("it did not start: {}", server.wait()?).into());
    }
    Ok((port, server))
}

/// Makes the recording another one for whoever asks next.
fn touch(dir: &Path) -> Answer<()> {
    let file = std::fs::File::options().append(true).open(dir.join("mock.json"))?;
    Ok(file.set_modified(jiff::Timestamp::now().into())?)
}

/// Two signals, each every 1.728 s over 24 hours.
fn recording() -> Answer<String> {
    let began: jiff::Timestamp = "2025-10-29T00:00:00.001Z".parse()?;
    let mut text = String::from("{\"data\":[");
    for n in 0..RECORDS {
        let at = began.checked_add(jiff::SignedDuration::from_millis(i64::from(n / 2) * 1_728))?;
        let (comma, signal, score) = (if n == 0 { "" } else { "," }, n % 2, score(n));
        write!(
            text,
            "{comma}{{\"timestamp\":\"{at}\",\"signal_id\":\"s-{signal}\",\"coherenceScore\":{score},\
             \"agentStates\":{{\"idle\":3,\"active\":7}},\"eventCount\":10}}"
        )?;
    }
    text.push_str("],\"next_page\":null}");
    Ok(text)
}

/// One request over a connection of its own; what it took, milliseconds.
fn request(port: u16) -> Answer<f64> {
    let began = Instant::now();
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.write_all(b"GET /coherence/metrics?window=24h HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let took = ms(began.elapsed());
    let holds_all = answer.contains(&format!("\"n\":{RECORDS},"));
    if holds_all { Ok(took) } else { Err(format!("not the window of all records: {answer}").into()) }
}
