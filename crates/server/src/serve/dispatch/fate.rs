//! What becomes of a delivery after a try, with its receiver's breaker in view. Pure.

use ringpost_deliver::{Next, Sign};
use ringpost_model::{Breaker, Timestamp};

/// What becomes of a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Delivered.
    Done,
    /// It is tried again, not before `due`.
    Owed {
        due: Timestamp,
        /// Tries used up.
        used: u32,
    },
    /// Given up.
    Failed,
    /// Given up while its receiver goes on failing: it comes back should the receiver count as down.
    Spent,
    /// A newer revision goes in its place.
    Superseded,
}

/// A try that is over.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tried<'a> {
    /// What would follow by the trigger's tries alone.
    pub(super) next: Next,
    /// What it says of the receiver.
    pub(super) sign: Sign,
    /// The trigger's `retryOn` allows another try.
    pub(super) may_retry: bool,
    /// The trigger's deliveries wait while the receiver is down.
    pub(super) holds: bool,
    /// `max_hold` is over: this was the last try.
    pub(super) is_last: bool,
    /// A newer revision goes next: this one must not come after it.
    pub(super) is_overtaken: bool,
    /// Tries used up before.
    pub(super) used: u32,
    /// When it ended.
    pub(super) ended: Timestamp,
    /// The breaker, this try counted.
    pub(super) breaker: &'a Breaker,
}

/// While a receiver is down no delivery uses its tries up (triggers-and-delivery.md 4, Breaker).
pub(super) fn fate(tried: &Tried<'_>) -> Fate {
    let is_held = tried.holds && tried.sign == Sign::Down && tried.may_retry && !tried.is_last;
    match (tried.next, tried.breaker) {
        (Next::Done, _) => Fate::Done,
        (Next::Superseded, _) => Fate::Superseded,
        (Next::Retry { at, .. }, Breaker::Open { .. }) if is_held => Fate::Owed { due: at, used: tried.used },
        (Next::Retry { at, used }, _) => Fate::Owed { due: at, used },
        (Next::Wait { until, used }, _) => Fate::Owed { due: until, used },
        (Next::Failed, Breaker::Open { .. }) if is_held => Fate::Owed { due: tried.ended, used: tried.used },
        (Next::Failed, Breaker::Failing { .. }) if is_held && !tried.is_overtaken => Fate::Spent,
        (Next::Failed, _) => Fate::Failed,
    }
}

#[cfg(test)]
mod tests {
    use ringpost_model::{DeliveryId, Run};
    use uuid::Uuid;

    use super::*;

    const NOW: Timestamp = Timestamp::from_micros(1_000_000);

    fn open() -> Breaker {
        Breaker::Open { since: NOW, probe_at: NOW, wait: 5, reason: "answered 503".into() }
    }

    fn failing() -> Breaker {
        let first = DeliveryId(Uuid::nil());
        Breaker::Failing { run: Run { failures: 1, since: NOW, first, several: false } }
    }

    fn failed(breaker: &Breaker) -> Tried<'_> {
        Tried {
            next: Next::Failed,
            sign: Sign::Down,
            may_retry: true,
            holds: true,
            is_last: false,
            is_overtaken: false,
            used: 1,
            ended: NOW,
            breaker,
        }
    }

    #[test]
    fn a_last_try_fails_and_can_come_back_as_long_as_the_run_lasts() {
        assert_eq!(fate(&failed(&failing())), Fate::Spent);
        assert_eq!(fate(&failed(&Breaker::Healthy)), Fate::Failed);
        let failing = failing();
        let overtaken = Tried { is_overtaken: true, ..failed(&failing) };
        assert_eq!(fate(&overtaken), Fate::Failed, "its correction is on its way");
    }

    #[test]
    fn while_the_receiver_is_down_no_try_is_used_up() {
        let open = open();
        assert_eq!(fate(&failed(&open)), Fate::Owed { due: NOW, used: 1 });
        let at = NOW.plus_micros(4_000_000);
        let retried = Tried { next: Next::Retry { at, used: 2 }, ..failed(&open) };
        assert_eq!(fate(&retried), Fate::Owed { due: at, used: 1 });
    }

    #[test]
    fn what_is_not_to_be_tried_again_is_not_held_either() {
        let open = open();
        for tried in [
            Tried { may_retry: false, ..failed(&open) },
            Tried { holds: false, ..failed(&open) },
            Tried { is_last: true, ..failed(&open) },
            // The receiver lives and says no.
            Tried { sign: Sign::Up, ..failed(&open) },
        ] {
            assert_eq!(fate(&tried), Fate::Failed, "{tried:?}");
        }
    }
}
