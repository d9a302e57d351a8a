//! What effects work with: the parts, Scout's eyes, the clock, the rules.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use sre_space_agents::scout::Scout;
use sre_space_domain::ids::IncidentId;
use sre_space_domain::incident::Rules;
use sre_space_domain::signal::Signal;
use sre_space_ports::bus::{Message, Topic};
use tokio::sync::Notify;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tracing::warn;
use ulid::Ulid;

use crate::app::Parts;
use crate::autonomy::Autonomy;
use crate::monitor::feed::Feed;
use crate::sentinel::Standing;

/// How long things may take.
#[derive(Debug, Clone, PartialEq)]
pub struct Patience {
    /// Between two looks at something that has to happen elsewhere.
    pub look: Duration,
    /// For evidence to become enough for a diagnosis.
    pub evidence: Duration,
    /// For the checks of a pull request.
    pub checks: Duration,
    /// For a suspicion to be confirmed before it is dropped.
    pub confirmation: Duration,
    /// For a service in a person's hands to be seen healthy before it is no longer spared.
    pub calm: Duration,
    /// Between two probes.
    pub probe: Duration,
    /// For the journal or the memory to come back.
    pub outage: Duration,
    /// For a Sentinel's veto to be withdrawn before it is a denial.
    pub veto: Duration,
    /// For a forge that says when it may be asked again, by one effect.
    pub rest: Duration,
    /// The same, where a person is told: longer than any rest that is believed.
    pub notice: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            look: Duration::from_millis(250),
            evidence: Duration::from_secs(45),
            checks: Duration::from_secs(300),
            confirmation: Duration::from_secs(120),
            calm: Duration::from_secs(10),
            probe: Duration::from_millis(500),
            outage: Duration::from_secs(300),
            veto: Duration::from_secs(30),
            rest: Duration::from_secs(600),
            notice: Duration::from_secs(7_200),
        }
    }
}

/// Looks at the forge. After it was waited for it is looked at once, and not once for each look that was missed.
pub fn looks(every: Duration) -> Interval {
    let mut looks = interval(every);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    looks
}

/// Time in which what happens is heard of: while the bus is away the clock stands still, since silence says nothing then.
pub struct Listening {
    left: Duration,
    seen: Instant,
}

impl Listening {
    /// So long.
    pub fn lasting(length: Duration) -> Self {
        Self { left: length, seen: Instant::now() }
    }

    /// Whether it is over; looked at often, or an outage is not noticed.
    pub fn is_over(&mut self, context: &Context) -> bool {
        let passed = self.seen.elapsed();
        self.seen += passed;
        if !context.is_deaf() {
            self.left = self.left.saturating_sub(passed);
        }
        self.left.is_zero()
    }
}

/// Everything an effect may use.
pub struct Context {
    /// The backends.
    pub parts: Parts,
    /// Watchers.
    pub feed: Arc<Feed>,
    /// What `step` decides by.
    pub rules: Rules,
    /// How long things may take.
    pub patience: Patience,
    /// Scout, shared with the task that feeds it spans.
    pub scout: Arc<Mutex<Scout>>,
    /// Somebody says that the forge changed: whoever waits for it may look at once.
    pub forge_changed: Arc<Notify>,
    /// Whether a repository may be written to; read before each such effect.
    pub autonomy: Autonomy,
    /// What Sentinels veto at this moment; nothing while none runs.
    pub vetoes: Arc<Mutex<Vec<Standing>>>,
}

impl Context {
    /// The time.
    pub fn now(&self) -> Timestamp {
        Timestamp::now()
    }

    /// The time in milliseconds since the Unix epoch.
    pub fn now_ms(&self) -> i64 {
        self.now().as_millisecond()
    }

    /// A fresh incident id.
    pub fn new_id(&self) -> IncidentId {
        IncidentId::new(Ulid::generate())
    }

    /// What Sentinels veto at this moment, as policies name it.
    pub fn vetoes(&self) -> BTreeSet<String> {
        self.standing_vetoes().into_iter().map(|veto| veto.domain.to_string()).collect()
    }

    /// What Sentinels veto at this moment, and where.
    pub fn standing_vetoes(&self) -> Vec<Standing> {
        self.vetoes.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether what happens is not heard of at present.
    pub fn is_deaf(&self) -> bool {
        self.parts.bus.status().is_away()
    }

    /// The next look at the forge: in its own time, or at once when somebody says that it changed.
    pub async fn look(&self, look: &mut Interval) {
        tokio::select! {
            _ = look.tick() => {}
            () = self.forge_changed.notified() => {}
        }
    }

    /// Scout's eyes. Never held over an await.
    pub fn scout(&self) -> MutexGuard<'_, Scout> {
        self.scout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Tells the bus of a signal.
    pub async fn announce(&self, signal: &Signal) {
        self.publish(Topic::Signals, &signal.service, &json!({"schema": 1, "signal": signal})).await;
    }

    /// The bus tells others; the journal is the truth. A full or closed bus is worth a line, not a stop.
    pub async fn publish(&self, topic: Topic, key: &str, body: &Value) {
        let message = Message {
            key: key.to_owned(),
            source: String::new(),
            received_ms: self.now_ms(),
            body: body.to_string().into(),
        };
        if let Err(error) = self.parts.bus.publish(topic, message).await {
            warn!(topic = topic.name(), %error, "an update was not published");
        }
    }
}
