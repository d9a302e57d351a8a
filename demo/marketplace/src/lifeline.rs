//! No orphans: a process ends when its standard input closes, and its parent holds the other end.
//!
//! The kernel closes the pipe however the parent ends, kill -9 included.

use std::io::Read as _;
use std::time::Duration;

use tokio::sync::oneshot;

/// What a process may take to finish once its parent is gone or lets go.
const GRACE: Duration = Duration::from_secs(10);

/// Calls `end` when the parent lets go; the process ends by itself if that takes longer than the grace.
pub fn hold(end: impl FnOnce() + Send + 'static) {
    std::thread::spawn(move || {
        let mut stdin = std::io::stdin().lock();
        let mut byte = [0; 64];
        while stdin.read(&mut byte).is_ok_and(|length| length > 0) {}
        end();
        std::thread::sleep(GRACE);
        std::process::exit(1);
    });
}

/// Ends the process at once when the parent lets go.
pub fn hold_hard() {
    hold(|| std::process::exit(0));
}

/// Resolves when the parent lets go.
pub fn released() -> oneshot::Receiver<()> {
    let (tell, told) = oneshot::channel();
    hold(move || _ = tell.send(()));
    told
}
