//! So many messages a second, counted from the start: a pause is caught up, an average is kept.

use std::time::Duration;

use tokio::time::Instant;

pub(super) struct Pace {
    begin: Instant,
    rate: Option<f64>,
}

impl Pace {
    pub(super) fn new(rate: Option<f64>) -> Self {
        Self { begin: Instant::now(), rate }
    }

    /// When the message after so many others is due; none = at once.
    fn due(&self, sent: u64) -> Option<Instant> {
        #[expect(clippy::cast_precision_loss, reason = "a schedule, not a figure; exact up to 2^53 messages")]
        let after = Duration::from_secs_f64(sent as f64 / self.rate?);
        Some(self.begin + after)
    }

    pub(super) fn must_wait(&self, sent: u64) -> bool {
        self.due(sent).is_some_and(|due| due > Instant::now())
    }

    pub(super) async fn wait(&self, sent: u64) {
        if let Some(due) = self.due(sent) {
            tokio::time::sleep_until(due).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn ten_a_second_take_a_second_for_ten() {
        let pace = Pace::new(Some(10.0));
        assert!(!pace.must_wait(0));
        assert!(pace.must_wait(10));
        let before = Instant::now();
        for sent in 0..=10 {
            pace.wait(sent).await;
        }
        assert_eq!(before.elapsed().as_secs(), 1);
        assert!(!Pace::new(None).must_wait(1_000_000));
    }
}
