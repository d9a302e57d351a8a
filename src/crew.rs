//! Every task of the server: its name, its shutdown stage, and what its end means.
//!
//! Shutdown goes edge → core → sink, each with its own grace: what was accepted is finished, or logged as dropped.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

/// When a task is asked to stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Takes work in: stops first.
    Edge,
    /// Works on what was taken in.
    Core,
    /// What the others write to: stops last.
    Sink,
}

const STAGES: [Stage; 3] = [Stage::Edge, Stage::Core, Stage::Sink];

/// What a task's end means while the server runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnEnd {
    /// The server cannot go on without it.
    StopServer,
    /// Worth a line in the log.
    Log,
}

struct Ended {
    stage: Stage,
    name: &'static str,
    on_end: OnEnd,
}

/// The tasks of one server.
#[derive(Default)]
pub struct Crew {
    tasks: JoinSet<Ended>,
    stops: [CancellationToken; 3],
    left: [usize; 3],
}

impl Crew {
    /// Starts a task. It gets a token that is cancelled when its stage is to stop.
    pub fn hire<F, T>(&mut self, stage: Stage, name: &'static str, on_end: OnEnd, task: F)
    where
        F: FnOnce(CancellationToken) -> T,
        T: Future<Output = ()> + Send + 'static,
    {
        let work = task(self.stops[stage as usize].clone());
        self.left[stage as usize] += 1;
        self.tasks.spawn(async move {
            work.await;
            Ended { stage, name, on_end }
        });
    }

    /// Cancelled when a stage is to stop.
    pub fn stopping(&self, stage: Stage) -> CancellationToken {
        self.stops[stage as usize].clone()
    }

    /// Runs until `shutdown` resolves or a task ends that the server cannot do without; then stops stage by stage,
    /// giving each at most `grace`. Answers whether the end was asked for.
    pub async fn run(mut self, shutdown: impl Future<Output = ()>, grace: Duration) -> bool {
        let asked = self.work(shutdown).await;
        for stage in STAGES {
            self.stops[stage as usize].cancel();
            if tokio::time::timeout(grace, self.drain(stage)).await.is_err() {
                warn!(?stage, grace_s = grace.as_secs(), "tasks did not stop in time and are dropped");
            }
        }
        self.tasks.abort_all();
        asked
    }

    async fn work(&mut self, shutdown: impl Future<Output = ()>) -> bool {
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => return true,
                Some(ended) = self.tasks.join_next() => {
                    if self.note(ended) == OnEnd::StopServer {
                        return false;
                    }
                }
            }
        }
    }

    async fn drain(&mut self, stage: Stage) {
        while self.left[stage as usize] > 0 {
            match self.tasks.join_next().await {
                Some(ended) => _ = self.note(ended),
                None => return,
            }
        }
    }

    fn note(&mut self, ended: Result<Ended, tokio::task::JoinError>) -> OnEnd {
        match ended {
            Ok(Ended { stage, name, on_end }) => {
                self.left[stage as usize] = self.left[stage as usize].saturating_sub(1);
                info!(task = name, "task ended");
                on_end
            }
            Err(panicked) => {
                error!(error = %panicked, "a task failed");
                OnEnd::StopServer
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::time::Instant;

    #[tokio::test]
    async fn a_deaf_task_is_dropped_after_the_grace() {
        let mut crew = Crew::default();
        crew.hire(Stage::Core, "deaf", OnEnd::Log, |_stop| std::future::pending());
        let began = Instant::now();
        let grace = Duration::from_millis(50);
        assert!(crew.run(async {}, grace).await);
        assert!(began.elapsed() >= grace);
    }

    #[tokio::test]
    async fn the_end_of_a_vital_task_stops_the_server_in_order() {
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let mut crew = Crew::default();
        for (stage, name) in [(Stage::Sink, "sink"), (Stage::Edge, "edge"), (Stage::Core, "core")] {
            let tell = tell.clone();
            crew.hire(stage, name, OnEnd::Log, move |stop| async move {
                stop.cancelled().await;
                _ = tell.send(name);
            });
        }
        crew.hire(Stage::Core, "vital", OnEnd::StopServer, |_stop| async {});
        assert!(!crew.run(std::future::pending(), Duration::from_secs(1)).await);
        let order: Vec<_> = std::iter::from_fn(|| told.try_recv().ok()).collect();
        assert_eq!(order, ["edge", "core", "sink"]);
    }
}
