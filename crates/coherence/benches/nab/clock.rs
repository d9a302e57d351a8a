//! Time spent on the processor, so that other work on a shared machine does not count; the wall clock where Linux does not tell it.

use std::fs;
use std::sync::LazyLock;
use std::time::Instant;

/// Milliseconds that the work takes.
pub fn milliseconds(work: impl FnOnce()) -> f64 {
    let began = now_ms();
    work();
    now_ms() - began
}

fn now_ms() -> f64 {
    static BEGAN: LazyLock<Instant> = LazyLock::new(Instant::now);
    // The kernel brings its books up to date when a thread yields; the first figure is nanoseconds on the processor.
    std::thread::yield_now();
    let told = fs::read_to_string("/proc/thread-self/schedstat").unwrap_or_default();
    let spent = told.split_whitespace().next().and_then(|spent| spent.parse::<f64>().ok());
    spent.map_or_else(|| BEGAN.elapsed().as_secs_f64() * 1e3, |spent| spent / 1e6)
}
