//! A server that speaks Qdrant's own protocol, since none can be had here: it stores, filters and compares exactly, and keeps books.
//!
//! What it does not serve it refuses, and what the real server refuses it refuses too. Its rankings are compared with those of
//! Qdrant's engine where that is installed.

mod service;
mod shelf;

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::JoinHandle;

use qdrant_client::qdrant::collections_server::CollectionsServer;
use qdrant_client::qdrant::points_server::PointsServer;
use qdrant_client::qdrant::qdrant_server::QdrantServer;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use self::service::Service;
use self::shelf::Shelf;
use crate::{Peer, free_port};

/// What the server was asked and what it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Books {
    /// Requests by the name of their method.
    pub requests: BTreeMap<&'static str, u64>,
    /// Points by collection.
    pub points: BTreeMap<String, usize>,
}

/// What outlives the process of a server: its disk, and our books.
#[derive(Default)]
struct Disk {
    shelf: Mutex<Shelf>,
    requests: Mutex<BTreeMap<&'static str, u64>>,
}

/// One server.
pub struct Qdrant {
    port: u16,
    api_key: Option<String>,
    disk: Arc<Disk>,
    paused: watch::Sender<bool>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

impl Qdrant {
    /// Starts one that wants no key.
    pub fn start() -> Self {
        Self::guarded(None)
    }

    /// Starts one that may want a key.
    pub fn guarded(api_key: Option<&str>) -> Self {
        let api_key = api_key.map(str::to_owned);
        let (port, paused) = (free_port(), watch::Sender::new(false));
        let mut this = Self { port, api_key, disk: Arc::default(), paused, running: None };
        this.start_again();
        this
    }

    /// URL of its gRPC port.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What it was asked and what it holds.
    pub fn books(&self) -> Books {
        let points = held(&self.disk.shelf).counts();
        Books { requests: held(&self.disk.requests).clone(), points }
    }

    fn service(&self) -> Service {
        Service { disk: Arc::clone(&self.disk), paused: self.paused.subscribe(), api_key: self.api_key.clone() }
    }
}

fn held<T>(what: &Mutex<T>) -> MutexGuard<'_, T> {
    what.lock().expect("nobody panics with it")
}

impl Peer for Qdrant {
    fn kill(&mut self) {
        if let Some(Running { stop, thread }) = self.running.take() {
            _ = stop.send(());
            thread.join().expect("the server's thread");
        }
    }

    fn start_again(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let (listens, listening) = std::sync::mpsc::channel();
        let (address, service) = (SocketAddr::from((Ipv4Addr::LOCALHOST, self.port)), self.service());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async {
                let listener = TcpListener::bind(address).await.expect("its port");
                listens.send(()).expect("somebody waits");
                let serving = Server::builder()
                    .add_service(QdrantServer::new(service.clone()))
                    .add_service(CollectionsServer::new(service.clone()))
                    .add_service(PointsServer::new(service).max_decoding_message_size(64 << 20))
                    .serve_with_incoming(TcpListenerStream::new(listener));
                tokio::select! {
                    served = serving => served.expect("it serves"),
                    _ = stopped => {}
                }
            });
            // Connections end with it, as those of a killed process do.
            runtime.shutdown_background();
        });
        listening.recv().expect("it listens");
        self.running = Some(Running { stop, thread });
    }

    fn pause(&self) {
        self.paused.send_replace(true);
    }

    fn resume(&self) {
        self.paused.send_replace(false);
    }
}

impl Drop for Qdrant {
    fn drop(&mut self) {
        self.kill();
    }
}
