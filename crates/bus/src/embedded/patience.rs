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

    #[tokio::test]
    async fn a_wait_is_never_too_short_and_hardly_ever_a_millisecond_too_long() {
        let mut late = Vec::new();
        for micros in [300, 1_700, 2_300, 5_100, 9_900].repeat(9) {
            let patience = Duration::from_micros(micros);
            let begun = std::time::Instant::now();
            wait(patience).await;
            late.push(begun.elapsed().checked_sub(patience).expect("it waits at least so long"));
        }
        late.sort();
        // The median: the machine may be busy, a timer of the runtime would be late in all of them.
        assert!(late[late.len() / 2] < Duration::from_millis(1), "{late:?}");
    }
}
