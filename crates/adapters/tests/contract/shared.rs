//! Servers that trials share, found on this machine and started by the first trial that needs them.

use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock};

use libtest_mimic::{Failed, Trial};
use sre_space_peers::Missing;

pub type Running<'a> = Pin<Box<dyn Future<Output = ()> + 'a>>;

/// A server that trials share: the first that needs it starts it, and it ends with the last of them.
pub struct Late<Server> {
    start: fn() -> Server,
    server: OnceLock<Mutex<Server>>,
}

pub type Shared<Server> = Arc<Late<Server>>;

/// Trials of a server; where it is not installed, one that says so.
pub fn on<Server: Send + 'static>(
    what: &str,
    (found, start): (Result<(), Missing>, fn() -> Server),
    trials: impl Fn(Shared<Server>) -> Vec<Trial>,
) -> Vec<Trial> {
    match found {
        Ok(()) => trials(Arc::new(Late { start, server: OnceLock::new() })),
        Err(missing) => vec![Trial::test(format!("{what} (skipped: {missing})"), || Ok(())).with_ignored_flag(true)],
    }
}

pub fn held<Server>(late: &Shared<Server>) -> MutexGuard<'_, Server> {
    let server = late.server.get_or_init(|| Mutex::new((late.start)()));
    server.lock().expect("no trial panics with it")
}

/// A trial with something of the server's that is its own.
pub fn trial<Server: Send + 'static>(
    name: impl Into<String>,
    server: &Shared<Server>,
    play: impl FnOnce(Shared<Server>) -> Result<(), Failed> + Send + 'static,
) -> Trial {
    let server = Arc::clone(server);
    Trial::test(name.into(), move || play(server))
}

macro_rules! promises {
    ($module:ident, $backend:literal, $bench:ident, $server:ident, $($promise:ident),* $(,)?) => {
        [$(trial(
            concat!(stringify!($module), "/", $backend, "/", stringify!($promise)),
            $server,
            |server| $bench(&server, |given| Box::pin($module::$promise(given))),
        )),*]
    };
}

pub(crate) use promises;
