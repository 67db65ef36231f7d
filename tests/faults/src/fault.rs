//! What goes wrong.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::ensure;
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::pause;
use crate::run::World;

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
    /// Of three brokers one is lost for good.
    BrokerLost,
    /// A second process of the same name: the first one has to end, and the second to go on.
    Twin,
    /// The network between instances and brokers: slow, cut, half-open.
    Network,
}

impl Fault {
    pub(crate) const ALL: [Self; 9] = [
        Self::Kill,
        Self::Term,
        Self::Zombie,
        Self::Scale,
        Self::Rolling,
        Self::Broker,
        Self::BrokerLost,
        Self::Twin,
        Self::Network,
    ];

    /// Brokers of a run.
    pub(crate) fn nodes(self) -> u16 {
        if self == Self::BrokerLost { 3 } else { 1 }
    }

    /// Instances at its begin.
    pub(crate) fn instances(self) -> usize {
        if self == Self::Scale { 1 } else { 2 }
    }

    /// Whether it can happen once more in the same run.
    pub(crate) fn again(self) -> bool {
        self != Self::BrokerLost
    }

    /// Lets it happen once. Tells what it was.
    pub(crate) fn strike(self, world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
        match self {
            Self::Kill => kill(world, dice),
            Self::Term => term(world, dice),
            Self::Zombie => zombie(world, dice),
            Self::Scale => scale(world),
            Self::Rolling => rolling(world),
            Self::Broker => {
                world.brokers.kill(1)?;
                pause(seconds(dice, 0.0, 3.0));
                world.brokers.again(1)?;
                pause(seconds(dice, 5.0, 10.0));
                Ok("broker killed and started again".to_owned())
            }
            Self::BrokerLost => {
                let node = dice.random_range(1..=world.brokers.nodes);
                world.brokers.kill(node)?;
                world.brokers.lost.push(node);
                Ok(format!("broker {node} lost for good"))
            }
            Self::Twin => twin(world, dice),
            Self::Network => network(world, dice),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kill => "kill",
            Self::Term => "term",
            Self::Zombie => "zombie",
            Self::Scale => "scale",
            Self::Rolling => "rolling",
            Self::Broker => "broker",
            Self::BrokerLost => "broker-lost",
            Self::Twin => "twin",
            Self::Network => "network",
        })
    }
}

/// So many seconds at random.
pub(crate) fn seconds(dice: &mut impl Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(dice.random_range(least..most))
}

fn one_of(world: &World, dice: &mut StdRng) -> usize {
    let running: Vec<usize> = world.running();
    running[dice.random_range(0..running.len())]
}

fn kill(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let at = one_of(world, dice);
    let instance = &mut world.instances[at];
    instance.kill()?;
    // Half of them are started again at once, as a supervisor does; the others are missed by their group meanwhile.
    let away = if dice.random_bool(0.5) { seconds(dice, 0.0, 0.5) } else { seconds(dice, 11.0, 14.0) };
    pause(away);
    instance.start()?;
    Ok(format!("instance {at} killed, away for {:.1} s", away.as_secs_f64()))
}

fn term(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let at = one_of(world, dice);
    let instance = &mut world.instances[at];
    instance.stop()?;
    pause(seconds(dice, 0.0, 2.0));
    instance.start()?;
    Ok(format!("instance {at} stopped and started again"))
}

fn zombie(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let at = one_of(world, dice);
    world.instances[at].signal("STOP")?;
    let long = seconds(dice, 11.0, 16.0);
    pause(long);
    world.instances[at].signal("CONT")?;
    Ok(format!("instance {at} stopped still for {:.1} s", long.as_secs_f64()))
}

fn scale(world: &mut World) -> anyhow::Result<String> {
    let running = world.running();
    if running.len() == 1 {
        while world.instances.len() < 3 {
            world.add_instance()?;
        }
        for instance in &mut world.instances {
            if !instance.is_running() {
                instance.start()?;
            }
        }
        return Ok("1 instance -> 3".to_owned());
    }
    world.instances[running[0]].stop()?;
    Ok(format!("{} instances -> {}", running.len(), running.len() - 1))
}

fn rolling(world: &mut World) -> anyhow::Result<String> {
    for instance in &mut world.instances {
        let ups = instance.ups();
        instance.stop()?;
        instance.start()?;
        instance.until_up(ups)?;
    }
    Ok("all instances restarted, one after the other".to_owned())
}

fn twin(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let at = one_of(world, dice);
    let mut twin = world.twin_of(at)?;
    twin.start()?;
    twin.until_up(0)?;
    let deadline = Instant::now() + Duration::from_secs(60);
    while !world.instances[at].has_ended()? {
        twin.check()?;
        ensure!(Instant::now() < deadline, "two of one name go on side by side");
        pause(Duration::from_millis(100));
    }
    world.instances[at] = twin;
    Ok(format!("instance {at} started a second time"))
}

fn network(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let long = seconds(dice, 3.0, 8.0);
    let what = match dice.random_range(0..3) {
        0 => {
            let latency = seconds(dice, 0.02, 0.3);
            world.network.delay(latency);
            pause(long);
            world.network.delay(Duration::ZERO);
            format!("latency of {} ms for", latency.as_millis())
        }
        1 => {
            world.network.cut();
            pause(Duration::from_millis(200));
            world.network.cut();
            return Ok("all connections cut, twice".to_owned());
        }
        _ => {
            let long = 2 * long;
            world.network.silence(true);
            pause(long);
            // Whoever has given a connection up is right; the old ones stay dead.
            world.network.cut();
            world.network.silence(false);
            return Ok(format!("all connections half-open for {:.1} s", long.as_secs_f64()));
        }
    };
    Ok(format!("{what} {:.1} s", long.as_secs_f64()))
}
