//! A forge that wants to be left alone for a while: it is waited for, and nobody is called for that.

use sre_space_domain::evidence::CommitInfo;
use sre_space_domain::ids::Sha;
use sre_space_domain::proposal::FileChange;
use sre_space_ports::forge::{Checks, ForgeError, Issue, Issues, PullRequest, Repository};
use tokio::time::Instant;

use super::super::retry::Turn;
use super::*;

/// A forge that rests a number of times, each time for so long.
struct Resting {
    times: AtomicUsize,
    wait: Duration,
    issues: Arc<dyn Issues>,
    repository: Arc<dyn Repository>,
}

impl Resting {
    fn before(context: &mut Context, times: usize, wait: Duration) {
        let (issues, repository) = (Arc::clone(&context.parts.issues), Arc::clone(&context.parts.repository));
        let resting = Arc::new(Self { times: times.into(), wait, issues, repository });
        context.parts.issues = resting.clone();
        context.parts.repository = resting;
    }

    fn awake(&self) -> Result<(), ForgeError> {
        match self.times.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)) {
            Ok(_) => Err(ForgeError::Unavailable { why: "it rests".to_owned(), wait: Some(self.wait) }),
            Err(_) => Ok(()),
        }
    }
}

#[async_trait]
impl Issues for Resting {
    async fn open(&self, incident: &IncidentId, title: &str, body: &str) -> Result<Issue, ForgeError> {
        self.awake()?;
        self.issues.open(incident, title, body).await
    }

    async fn comment(&self, number: u64, key: &str, body: &str) -> Result<(), ForgeError> {
        self.awake()?;
        self.issues.comment(number, key, body).await
    }

    async fn close(&self, number: u64) -> Result<(), ForgeError> {
        self.awake()?;
        self.issues.close(number).await
    }

    async fn activity(&self, limit: usize) -> Result<(Vec<PullRequest>, Vec<Issue>), ForgeError> {
        self.awake()?;
        self.issues.activity(limit).await
    }
}

#[async_trait]
impl Repository for Resting {
    async fn head(&self) -> Result<Sha, ForgeError> {
        self.awake()?;
        self.repository.head().await
    }

    async fn file(&self, at: &Sha, path: &str) -> Result<String, ForgeError> {
        self.awake()?;
        self.repository.file(at, path).await
    }

    async fn list(&self, at: &Sha, folder: &str) -> Result<Vec<String>, ForgeError> {
        self.awake()?;
        self.repository.list(at, folder).await
    }

    async fn log(&self, limit: usize) -> Result<Vec<CommitInfo>, ForgeError> {
        self.awake()?;
        self.repository.log(limit).await
    }

    async fn revert_of(&self, commit: &Sha, onto: &Sha) -> Result<Vec<FileChange>, ForgeError> {
        self.awake()?;
        self.repository.revert_of(commit, onto).await
    }

    async fn checks(&self, commit: &Sha) -> Result<Checks, ForgeError> {
        self.awake()?;
        self.repository.checks(commit).await
    }
}

/// What comes of an effect over a forge that rests, and how long that takes on a stopped clock.
async fn performed(effect: &Effect, times: usize, wait: Duration) -> (Event, Duration) {
    let dir = tempfile::tempdir().expect("a folder");
    let mut context = context(&dir).await;
    Resting::before(&mut context, times, wait);
    let incident = confirmed(&context);
    serve_well(&context, 30);
    tokio::time::pause();
    let began = Instant::now();
    (perform(&context, &incident, effect).await, began.elapsed())
}

#[tokio::test]
async fn a_forge_that_says_when_is_waited_for() {
    let (event, took) = performed(&Effect::OpenTicket, 3, Duration::from_secs(60)).await;
    assert!(matches!(event, Event::TicketOpened(_)), "{event:?}");
    assert!((180..190).contains(&took.as_secs()), "{took:?}");
}

#[tokio::test]
async fn one_that_wants_an_hour_is_handed_to_a_person_at_once() {
    let (event, took) = performed(&Effect::OpenTicket, 1, Duration::from_secs(3_600)).await;
    let Event::Failed(why) = event else { panic!("{event:?}") };
    assert!(why.ends_with("the forge did not answer: it rests"), "{why}");
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test]
async fn what_passed_while_the_forge_rested_needs_no_cause() {
    let (event, took) = performed(&Effect::Diagnose, 2, Duration::from_secs(60)).await;
    assert_eq!(event, Event::Faded);
    assert!(took > Duration::from_secs(120), "{took:?}");
}

#[tokio::test]
async fn a_person_is_told_by_a_forge_that_wants_an_hour() {
    let (event, took) = performed(&Effect::Page, 1, Duration::from_secs(3_600)).await;
    assert_eq!(event, Event::Paged);
    assert!((3_600..3_610).contains(&took.as_secs()), "{took:?}");
}

/// What comes of calls of one effect, each to a forge that rests once for this many seconds, and how often all were tried.
async fn called(context: &Context, effect: &Effect, rests: [u64; 2]) -> (Vec<Result<(), String>>, usize) {
    let (turn, tried) = (Turn::of(context, effect), AtomicUsize::new(0));
    let mut answers = Vec::new();
    for rest in rests {
        let first = AtomicUsize::new(1);
        let call = || async {
            tried.fetch_add(1, Ordering::Relaxed);
            match first.swap(0, Ordering::Relaxed) {
                0 => Ok(()),
                _ => Err(ForgeError::Unavailable { why: "it rests".into(), wait: Some(Duration::from_secs(rest)) }),
            }
        };
        answers.push(turn.retried(call).await);
    }
    (answers, tried.into_inner())
}

#[tokio::test]
async fn the_calls_of_one_effect_share_its_ten_minutes() {
    let dir = tempfile::tempdir().expect("a folder");
    let context = context(&dir).await;
    tokio::time::pause();
    let refused = Err("the forge did not answer: it rests".to_owned());
    assert_eq!(called(&context, &Effect::Render, [400, 199]).await, (vec![Ok(()), Ok(())], 4));
    assert_eq!(called(&context, &Effect::Render, [400, 201]).await, (vec![Ok(()), refused], 3));
}

#[tokio::test]
async fn what_writes_asks_again_after_every_wait_whether_it_may() {
    let dir = tempfile::tempdir().expect("a folder");
    let context = context(&dir).await;
    tokio::time::pause();
    let thrown = async |effect: Effect| {
        context.autonomy.set(true).expect("on");
        let (turn, tried) = (Turn::of(&context, &effect), AtomicUsize::new(0));
        let resting = || async {
            let is_first = tried.fetch_add(1, Ordering::Relaxed) == 0;
            context.autonomy.set(false).expect("off");
            let wait = Some(Duration::from_secs(590)).filter(|_| is_first);
            wait.map_or(Ok(()), |wait| Err(ForgeError::Unavailable { why: "it rests".into(), wait: Some(wait) }))
        };
        let answer = turn.retried(resting).await;
        (answer, tried.into_inner())
    };
    assert_eq!(thrown(Effect::Merge).await, (Err("autonomy is switched off".to_owned()), 1));
    assert_eq!(thrown(Effect::Revert).await, (Ok(()), 2), "what undoes our own write is exempt");
}
