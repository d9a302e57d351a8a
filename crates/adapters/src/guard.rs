//! The breaker in front of a server of our own that a port's adapter talks to: the bus's, or the database's.

use std::fmt;
use std::sync::Arc;

use sre_space_domain::breaker::Limits;
use sre_space_ports::around::Around;
use sre_space_ports::bus::BusError;
use sre_space_ports::memory::MemoryError;
use sre_space_ports::store::StoreError;

use crate::upstream::{CallError, Upstream};

/// Such servers are restarted in seconds, and everything waits for them: they are tried again soon.
const LIMITS: Limits = Limits { failures: 5, rest_ms: 1_000 };

/// Asks the breaker before each call, and tells it what came of it.
#[derive(Clone)]
pub struct Guard(Arc<Upstream>);

impl Guard {
    /// The guard of a server.
    pub fn of(name: &'static str) -> Self {
        Self(Upstream::with(name, LIMITS))
    }

    /// Its breaker.
    pub fn upstream(&self) -> Arc<Upstream> {
        Arc::clone(&self.0)
    }

    /// Calls; `unasked` words that nobody was asked in the port's own error.
    async fn ask<T, E: fmt::Display>(
        &self,
        work: impl Future<Output = Result<T, E>>,
        is_fault: impl FnOnce(&E) -> bool,
        unasked: impl FnOnce(Box<dyn std::error::Error + Send + Sync>) -> E,
    ) -> Result<T, E> {
        self.0.call(work, is_fault).await.map_err(|error| match error {
            CallError::Failed(error) => error,
            CallError::Open { .. } => unasked(error.to_string().into()),
        })
    }
}

impl Around<StoreError> for Guard {
    async fn around<T: Send>(&self, work: impl Future<Output = Result<T, StoreError>> + Send) -> Result<T, StoreError> {
        self.ask(work, StoreError::is_transient, StoreError::Backend).await
    }
}

impl Around<MemoryError> for Guard {
    async fn around<T: Send>(
        &self,
        work: impl Future<Output = Result<T, MemoryError>> + Send,
    ) -> Result<T, MemoryError> {
        self.ask(work, MemoryError::is_transient, MemoryError::Backend).await
    }
}

impl Around<BusError> for Guard {
    async fn around<T: Send>(&self, work: impl Future<Output = Result<T, BusError>> + Send) -> Result<T, BusError> {
        let is_fault = |error: &BusError| match error {
            BusError::Unreachable(_) => true,
            BusError::Full(_) | BusError::Closed | BusError::TooLarge(_) => false,
        };
        self.ask(work, is_fault, BusError::Unreachable).await
    }
}
