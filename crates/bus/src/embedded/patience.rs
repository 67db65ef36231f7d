//! A wait that ends when it should, and not a millisecond or two later.
//!
//! The runtime's timers count whole milliseconds, and rounding adds up to two of them. A reader's wait ends when a call
//! is due, so these two would be in every call's latency. The last of a wait is therefore slept by a thread, which the
//! kernel wakes to within some 0.1 ms.

use std::time::Duration;

use tokio::time::{Instant, sleep_until};

/// How late a timer of the runtime may be.
const COARSE: Duration = Duration::from_millis(2);

/// Waits so long. Dropped before its end, it leaves a thread that sleeps for 2 ms at most.
pub(super) async fn wait(patience: Duration) {
    let end = Instant::now() + patience;
    if patience.is_zero() {
        return tokio::task::yield_now().await;
    }
    if let Some(early) = end.checked_sub(COARSE).filter(|early| *early > Instant::now()) {
        sleep_until(early).await;
    }
    let left = end.saturating_duration_since(Instant::now());
    if !left.is_zero() {
        // It ends in time, or the runtime is being stopped and nobody waits any more.
        _ = tokio::task::spawn_blocking(move || nap(left)).await;
    }
}

#[expect(clippy::disallowed_methods, reason = "this is the timer, finer than the runtime's")]
fn nap(left: Duration) {
    std::thread::sleep(left);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The runtime's clock stands still here, but for its own timers: what it has gone on is what they were given.
    #[tokio::test(start_paused = true)]
    async fn the_last_of_a_wait_is_left_to_a_thread_and_not_to_a_timer_that_rounds_up() {
        for micros in [300, 1_700, 2_300, 5_100, 9_900] {
            let patience = Duration::from_micros(micros);
            let (begun, by_thread) = (Instant::now(), std::time::Instant::now());
            wait(patience).await;
            let by_timer = begun.elapsed();
            assert!(by_timer < patience, "a timer had all of {patience:?}");
            assert!(by_timer >= patience.saturating_sub(COARSE), "of {patience:?} a timer had {by_timer:?}");
            assert!(
                by_thread.elapsed() >= patience - by_timer,
                "a wait of {patience:?} ended before its time"
            );
        }
    }
}
