//! What goes wrong: the kinds of faults, and what a run of each needs.

use std::fmt;

use clap::ValueEnum;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;

use crate::strike;
use crate::world::World;

/// One kind of fault; a run does one kind over and over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Fault {
    /// `kill -9` of an instance.
    Kill,
    /// SIGTERM to an instance.
    Term,
    /// An instance is stopped for longer than the session time-out, and goes on: a zombie.
    Zombie,
    /// One instance, three, two, one.
    Scale,
    /// All instances are restarted, one after the other.
    Rolling,
    /// The broker is killed and started again.
    Broker,
    /// Of three brokers the one that looks after a group is lost for good.
    BrokerLost,
    /// A second process of the same name: the first one has to end, and the second to go on.
    Twin,
    /// The network between instances and brokers: slow, cut, half-open.
    Network,
    /// The database with the store is killed, and started again.
    PostgresRestart,
    /// The database with the store is away, once and for long.
    PostgresAway,
    /// `kill -9` of a process that dispatches.
    DispatchKill,
    /// A process that dispatches is stopped for longer than the session time-out, and goes on.
    DispatchZombie,
    /// The receiver refuses, fails or hangs, once and for long.
    ReceiverDown,
    /// Records among the legs that are none.
    Poison,
    /// A call with more legs than one may have, and then `kill -9` of an instance.
    BigSession,
    /// Of three brokers the one that leads a busy partition is killed and started again.
    LeaderLost,
    /// One company has nine of ten calls; `kill -9` of an instance.
    Flood,
    /// All of those above that one world has room for, each once, in an order that the seed says.
    Mixed,
}

/// What [`Fault::Mixed`] is made of. A broker is lost for good when all else has happened.
const MIXED: [Fault; 14] = [
    Fault::Kill,
    Fault::Term,
    Fault::Zombie,
    Fault::Rolling,
    Fault::Broker,
    Fault::Twin,
    Fault::Network,
    Fault::PostgresRestart,
    Fault::PostgresAway,
    Fault::DispatchKill,
    Fault::DispatchZombie,
    Fault::ReceiverDown,
    Fault::Poison,
    Fault::BigSession,
];

/// Who does the work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Layout {
    /// So many processes on one machine, each with all roles, the store in a folder.
    Whole(usize),
    /// Roles in processes of their own, as on several machines, the store in a database.
    Split,
}

/// Names and roles of [`Layout::Split`].
pub(crate) const SPLIT: [(&str, &str); 6] = [
    ("front", "ingest,api"),
    ("aggregate-0", "aggregate"),
    ("aggregate-1", "aggregate"),
    ("dispatch-0", "dispatch"),
    ("dispatch-1", "dispatch"),
    ("dispatch-2", "dispatch"),
];

impl Fault {
    /// Brokers of a run.
    pub(crate) fn nodes(self) -> u16 {
        if matches!(self, Self::BrokerLost | Self::LeaderLost | Self::Mixed) { 3 } else { 1 }
    }

    /// Whether one company has most of the traffic.
    pub(crate) fn flood(self) -> bool {
        self == Self::Flood
    }

    /// What stands at its begin.
    pub(crate) fn layout(self) -> Layout {
        match self {
            Self::Scale => Layout::Whole(1),
            // Each has a client of its own, and whether one finds the new broker is a matter of moments.
            Self::BrokerLost => Layout::Whole(4),
            Self::PostgresRestart
            | Self::PostgresAway
            | Self::DispatchKill
            | Self::DispatchZombie
            | Self::ReceiverDown
            | Self::Mixed => Layout::Split,
            _ => Layout::Whole(2),
        }
    }

    /// So many times as long as others a run of it takes.
    pub(crate) fn length(self) -> u32 {
        if self == Self::Mixed { 6 } else { 1 }
    }

    /// What happens in a run of it, one after the other; and whether it begins anew when all has happened.
    pub(crate) fn strikes(self, dice: &mut StdRng) -> (Vec<Self>, bool) {
        match self {
            Self::Mixed => {
                let mut strikes = MIXED.to_vec();
                strikes.push(Self::LeaderLost);
                strikes.shuffle(dice);
                strikes.push(Self::BrokerLost);
                (strikes, false)
            }
            Self::BrokerLost | Self::PostgresAway | Self::ReceiverDown => (vec![self], false),
            _ => (vec![self], true),
        }
    }

    /// Lets it happen once. Tells what it was.
    pub(crate) fn strike(self, world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
        match self {
            Self::Kill | Self::Flood => strike::kill(world, dice, ""),
            Self::Term => strike::term(world, dice),
            Self::Zombie => strike::zombie(world, dice, ""),
            Self::Scale => strike::scale(world),
            Self::Rolling => strike::rolling(world),
            Self::Broker => strike::broker(world, dice),
            Self::BrokerLost => strike::broker_lost(world, dice),
            Self::Twin => strike::twin(world, dice),
            Self::Network => strike::network(world, dice),
            Self::PostgresRestart => strike::postgres_restart(world, dice),
            Self::PostgresAway => strike::postgres_away(world, dice),
            Self::DispatchKill => strike::kill(world, dice, "dispatch"),
            Self::DispatchZombie => strike::zombie(world, dice, "dispatch"),
            Self::ReceiverDown => strike::receiver_down(world, dice),
            Self::Poison => strike::poison(world, dice),
            Self::BigSession => strike::big_session(world, dice),
            Self::LeaderLost => strike::leader_lost(world, dice),
            Self::Mixed => anyhow::bail!("it is many"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.to_possible_value().as_ref().map_or("", |value| value.get_name()))
    }
}
