//! Whole loops on real engines: the same faults heal with the bus on Redis and the journal on Postgres, and the servers' own
//! counters account for every batch and every step.
#![expect(clippy::expect_used, reason = "a test fails by panicking")]

mod account;
mod github;
mod outages;
mod seals;

use std::process::Command;
use std::sync::{Arc, Mutex, MutexGuard};

use libtest_mimic::{Arguments, Failed, Trial};
use sre_space_peers::{Kafka, Missing, Peer, Postgres, Qdrant, Redis};
use sre_space_stage::{ENDS, PATIENCE, Setup, Stage, text};

use self::github::OnGithub;

/// Plays at once; each leaves most of a core idle.
const AT_ONCE: usize = 3;

/// The servers of one play; the embedded part is used where there is none.
#[derive(Clone, Copy)]
struct Engines {
    name: &'static str,
    bus: Option<Broker>,
    postgres: bool,
    qdrant: bool,
    github: bool,
}

/// What carries the bus.
#[derive(Clone, Copy, PartialEq)]
enum Broker {
    Redis,
    Kafka,
}

const EMBEDDED: Engines = Engines { name: "embedded", bus: None, postgres: false, qdrant: false, github: false };
const ON_REDIS: Engines = Engines { name: "bus-redis", bus: Some(Broker::Redis), ..EMBEDDED };
const ON_KAFKA: Engines = Engines { name: "bus-kafka", bus: Some(Broker::Kafka), ..EMBEDDED };
const ON_POSTGRES: Engines = Engines { name: "store-postgres", postgres: true, ..EMBEDDED };
const ON_QDRANT: Engines = Engines { name: "memory-qdrant", qdrant: true, ..EMBEDDED };
const ON_GITHUB: Engines = Engines { name: "forge-github", github: true, ..EMBEDDED };
const ON_ALL: Engines =
    Engines { name: "all-together", bus: Some(Broker::Kafka), postgres: true, qdrant: true, github: true };

/// The servers, as they were started for one play.
struct Servers {
    redis: Option<Mutex<Redis>>,
    kafka: Option<Mutex<Kafka>>,
    postgres: Option<Mutex<Postgres>>,
    github: Option<Mutex<OnGithub>>,
    qdrant: Option<Mutex<Qdrant>>,
    env: Vec<(&'static str, String)>,
}

impl Engines {
    fn missing(self) -> Option<Missing> {
        let bus = match self.bus {
            Some(Broker::Redis) => Redis::find(),
            Some(Broker::Kafka) => Kafka::find(),
            None => Ok(()),
        };
        let postgres = if self.postgres { Postgres::find() } else { Ok(()) };
        bus.and(postgres).err()
    }

    fn start(self) -> Servers {
        let redis = (self.bus == Some(Broker::Redis)).then(Redis::start);
        let kafka = (self.bus == Some(Broker::Kafka)).then(Kafka::start);
        let postgres = self.postgres.then(Postgres::start);
        let qdrant = self.qdrant.then(Qdrant::start);
        let github = self.github.then(OnGithub::start);
        let mut env = Vec::new();
        if let Some(redis) = &redis {
            env.extend([("SRE_SPACE_BUS", "redis".to_owned()), ("REDIS_URL", redis.url())]);
        }
        if let Some(kafka) = &kafka {
            env.extend([("SRE_SPACE_BUS", "kafka".to_owned()), ("KAFKA_BROKERS", kafka.brokers())]);
        }
        env.extend(postgres.as_ref().map(|postgres| ("DATABASE_URL", postgres.url())));
        env.extend(qdrant.as_ref().map(|qdrant| ("QDRANT_URL", qdrant.url())));
        env.extend(github.iter().flat_map(OnGithub::env));
        Servers {
            redis: redis.map(Mutex::new),
            kafka: kafka.map(Mutex::new),
            postgres: postgres.map(Mutex::new),
            qdrant: qdrant.map(Mutex::new),
            github: github.map(Mutex::new),
            env,
        }
    }
}

fn held<Server>(server: &Mutex<Server>) -> MutexGuard<'_, Server> {
    server.lock().expect("nobody panics with it")
}

impl Servers {
    fn each(&self, what: impl Fn(&mut dyn Peer)) {
        self.redis.iter().for_each(|redis| what(&mut *held(redis)));
        self.kafka.iter().for_each(|kafka| what(&mut *held(kafka)));
        self.postgres.iter().for_each(|postgres| what(&mut *held(postgres)));
        self.qdrant.iter().for_each(|qdrant| what(&mut *held(qdrant)));
    }

    /// None of them answers any more.
    fn stop(&self) {
        self.each(|server| server.kill());
        self.github.iter().for_each(|github| held(github).stop());
    }

    fn url(&self, name: &str) -> Option<&str> {
        self.env.iter().find(|(set, _)| *set == name).map(|(_, url)| url.as_str())
    }
}

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads.get_or_insert(AT_ONCE);
    libtest_mimic::run(&arguments, trials()).exit();
}

fn trials() -> Vec<Trial> {
    let heals = [ON_REDIS, ON_KAFKA, ON_POSTGRES, ON_QDRANT, ON_GITHUB, ON_ALL].into_iter().flat_map(|engines| {
        ["500", "bad-deploy"].map(|fault| {
            let name = format!("{}/{fault}/heals_and_is_accounted_for", engines.name);
            trial(name, engines, move || heals(engines, fault))
        })
    });
    let needed = [
        (ON_REDIS, "REDIS_URL"),
        (ON_KAFKA, "KAFKA_BROKERS"),
        (ON_POSTGRES, "DATABASE_URL"),
        (ON_QDRANT, "QDRANT_URL"),
        (ON_GITHUB, "GITHUB_API_URL"),
    ];
    let refusals = needed.into_iter().map(|(engines, setting)| {
        let name = format!("{}/a_server_that_is_not_there_is_named", engines.name);
        trial(name, engines, move || refuses(engines, setting))
    });
    let fed = trial("bus-kafka/another_program_may_write_to_the_topic".to_owned(), ON_KAFKA, fed_by_another);
    let stands_in = trial("bus-redis/a_bus_inside_may_stand_in_loudly".to_owned(), ON_REDIS, stands_in);
    heals.chain(refusals).chain([fed, stands_in]).chain(outages::trials()).chain(seals::trials()).collect()
}

/// A trial, or the reason why it cannot be made here.
fn trial<Play: Future<Output = ()>>(
    name: String,
    engines: Engines,
    play: impl FnOnce() -> Play + Send + 'static,
) -> Trial {
    match engines.missing() {
        None => Trial::test(name, move || run(play())),
        Some(missing) => Trial::test(format!("{name} (skipped: {missing})"), || Ok(())).with_ignored_flag(true),
    }
}

fn run(play: impl Future<Output = ()>) -> Result<(), Failed> {
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?.block_on(play);
    Ok(())
}

fn on(servers: &Servers) -> Setup {
    let dir = servers.github.as_ref().map(|github| held(github).folder());
    Setup { env: servers.env.clone(), dir, ..Setup::of(env!("CARGO_BIN_EXE_sre-space")) }
}

async fn heals(engines: Engines, fault: &'static str) {
    let servers = Arc::new(engines.start());
    let mut stage = Stage::set(on(&servers)).await;
    stage.inject(fault).await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
    assert_eq!(text(&incident, "/recovery/verdict"), "RECOVERED");
    stage.proven().await;
    account::of_all(&mut stage, &servers).await;
}

/// `serve` with the server stopped beforehand: it says which setting, and ends.
async fn refuses(engines: Engines, setting: &'static str) {
    let servers = engines.start();
    servers.stop();
    let dir = tempfile::tempdir().expect("a folder");
    git2::Repository::init_bare(dir.path().join("watched.git")).expect("a repository");
    let mut serve = Command::new(env!("CARGO_BIN_EXE_sre-space"));
    serve.env("SRE_SPACE_REPO", dir.path().join("watched.git"));
    serve.arg("serve").current_dir(dir.path()).envs(servers.env.iter().cloned());
    serve.env("SRE_SPACE_HTTP_ADDR", "127.0.0.1:0").env("SRE_SPACE_OTLP_GRPC_ADDR", "off");
    let ended = serve.env("SRE_SPACE_OTLP_HTTP_ADDR", "off").output().expect("it runs");
    let told = String::from_utf8_lossy(&ended.stderr).into_owned();
    assert!(!ended.status.success() && told.contains(setting), "{}: {told}", ended.status);
}

/// Spans that somebody else's program wrote to the topic are all seen, and what fails in them is an incident.
async fn fed_by_another() {
    let (service, requests) = ("warehouse", 60);
    let servers = ON_KAFKA.start();
    let stage = Stage::set(on(&servers)).await;
    let mut producer = held(servers.kafka.as_ref().expect("a broker")).producer(service, requests);
    let told = tokio::task::spawn_blocking(move || producer.output()).await.expect("it ends").expect("it runs");
    assert!(told.status.success(), "{}", String::from_utf8_lossy(&told.stderr));
    stage
        .until("an incident of a service that only Kafka told of", PATIENCE, async || {
            let graph = stage.get("/api/v1/services").await?;
            let node = graph["nodes"].as_array()?.iter().find(|node| node["service"] == service)?.clone();
            let incidents = stage.get("/api/v1/incidents").await?;
            let is_open = incidents.as_array()?.iter().any(|incident| incident["service"] == service);
            (node["requests"] == requests && is_open).then_some(())
        })
        .await;
}

/// With leave to, a bus inside the process stands in, and the state says so.
async fn stands_in() {
    let servers = ON_REDIS.start();
    servers.each(|server| server.kill());
    let mut setup = on(&servers);
    setup.env.push(("SRE_SPACE_BUS_FALLBACK", "on".to_owned()));
    let stage = Stage::set(setup).await;
    let status = stage.get("/status").await.expect("the status");
    assert_eq!((text(&status, "/mode"), text(&status, "/bus/backend")), ("DEGRADED", "local"), "{status:#}");
    assert!(text(&status, "/bus/trouble").contains("Redis"), "{status:#}");
    stage.inject("500").await;
    let incident = stage.incident_in(&ENDS, PATIENCE).await;
    assert_eq!(text(&incident, "/state"), "resolved", "{incident:#}");
}
