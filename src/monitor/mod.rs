//! The monitor: live events, incidents, services and the page that shows them.

mod coherence;
mod docs;
pub mod feed;
pub mod guard;
mod health;
mod people;
mod plane;
mod problem;
mod routes;
#[cfg(test)]
mod tests;
mod webhook;

use std::sync::Arc;

use sre_space_ports::bus::Bus;
use sre_space_ports::forge::Issues;
use sre_space_ports::memory::Recollection;
use sre_space_ports::policy::Policy;
use sre_space_ports::store::Store;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use self::feed::Feed;
use self::guard::Guard;
pub use self::plane::DemoPlane;
pub use self::routes::router;
pub use self::webhook::Webhook;
use crate::autonomy::Autonomy;
use crate::coherence::Engine;
use crate::orchestrator::people::Asked;

/// A reading of something that lives elsewhere, as JSON.
pub type Reading = Arc<dyn Fn() -> serde_json::Value + Send + Sync>;

/// Everything the routes show.
pub struct Desk {
    /// Incidents and journal.
    pub store: Arc<dyn Store>,
    /// Live events.
    pub feed: Arc<Feed>,
    /// Whether messages can be published.
    pub bus: Arc<dyn Bus>,
    /// Cancelled once the server takes nothing in any more.
    pub draining: CancellationToken,
    /// Tickets and pull requests.
    pub issues: Arc<dyn Issues>,
    /// Lessons.
    pub recollection: Arc<dyn Recollection>,
    /// Rules in force.
    pub policy: Arc<dyn Policy>,
    /// The service graph.
    pub services: Reading,
    /// The server's own state.
    pub status: Reading,
    /// What the forge's own messages are checked with.
    pub webhook: Webhook,
    /// Who may ask.
    pub guard: Guard,
    /// Where people's decisions go.
    pub people: mpsc::Sender<Asked>,
    /// Whether anything may be written.
    pub autonomy: Autonomy,
    /// The Data Coherence Engine.
    pub coherence: Arc<Engine>,
    /// The user plane of the demo; its routes exist only with it.
    pub demo: Option<DemoPlane>,
}
