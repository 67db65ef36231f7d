//! The faults themselves, each once.

use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use rand::rngs::StdRng;
use rand::{Rng, RngExt};

use crate::feed::PARTITIONS;
use crate::pause;
use crate::receiver::Mood;
use crate::world::World;

/// So many seconds at random.
pub(crate) fn seconds(dice: &mut impl Rng, least: f64, most: f64) -> Duration {
    Duration::from_secs_f64(dice.random_range(least..most))
}

/// One that runs and has this role, or whichever.
fn one_of(world: &World, dice: &mut StdRng, role: &str) -> usize {
    let mut running: Vec<usize> = world.running();
    running.retain(|at| role.is_empty() || world.instances[*at].has_role(role));
    running[dice.random_range(0..running.len())]
}

pub(crate) fn kill(world: &mut World, dice: &mut StdRng, role: &str) -> anyhow::Result<String> {
    let at = one_of(world, dice, role);
    let instance = &mut world.instances[at];
    instance.kill()?;
    // Half of them are started again at once, as a supervisor does; the others are missed by their group meanwhile.
    let away = if dice.random_bool(0.5) { seconds(dice, 0.0, 0.5) } else { seconds(dice, 11.0, 14.0) };
    pause(away);
    instance.start()?;
    Ok(format!("instance {at} killed, away for {:.1} s", away.as_secs_f64()))
}

pub(crate) fn term(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let at = one_of(world, dice, "");
    let instance = &mut world.instances[at];
    instance.stop()?;
    pause(seconds(dice, 0.0, 2.0));
    instance.start()?;
    Ok(format!("instance {at} stopped and started again"))
}

pub(crate) fn zombie(world: &mut World, dice: &mut StdRng, role: &str) -> anyhow::Result<String> {
    let at = one_of(world, dice, role);
    world.instances[at].signal("STOP")?;
    let long = seconds(dice, 11.0, 16.0);
    pause(long);
    world.instances[at].signal("CONT")?;
    Ok(format!("instance {at} stopped still for {:.1} s", long.as_secs_f64()))
}

pub(crate) fn scale(world: &mut World) -> anyhow::Result<String> {
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

pub(crate) fn rolling(world: &mut World) -> anyhow::Result<String> {
    for instance in &mut world.instances {
        let ups = instance.ups();
        instance.stop()?;
        instance.start()?;
        instance.until_up(ups)?;
    }
    Ok("all instances restarted, one after the other".to_owned())
}

pub(crate) fn broker(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    world.brokers.kill(1)?;
    pause(seconds(dice, 0.0, 3.0));
    world.brokers.again(1)?;
    pause(seconds(dice, 5.0, 10.0));
    Ok("broker killed and started again".to_owned())
}

pub(crate) fn broker_lost(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let group = if dice.random_bool(0.8) { "aggregate" } else { "dispatch" };
    let node = world.brokers.coordinator(&world.topic(group))?;
    world.brokers.kill(node)?;
    Ok(format!("broker {node}, which looked after group {group}, lost for good"))
}

pub(crate) fn twin(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let at = one_of(world, dice, "aggregate");
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

pub(crate) fn network(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
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

pub(crate) fn postgres_restart(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let away = seconds(dice, 0.0, 4.0);
    let postgres = world.postgres.as_ref().context("there is a database")?;
    postgres.kill()?;
    pause(away);
    postgres.again()?;
    pause(seconds(dice, 1.0, 6.0));
    Ok(format!("database killed, away for {:.1} s", away.as_secs_f64()))
}

/// For so long that time-outs pass and connections are given up.
pub(crate) fn postgres_away(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let away = world.traffic.mul_f64(dice.random_range(0.4..0.7));
    let postgres = world.postgres.as_ref().context("there is a database")?;
    postgres.away()?;
    pause(away);
    postgres.again()?;
    Ok(format!("database stopped, away for {:.1} s", away.as_secs_f64()))
}

pub(crate) fn poison(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let topic = world.topic("ringpost.legs");
    world.odd.poison(&world.brokers.bootstrap, &topic, dice)?;
    Ok("records that are no legs".to_owned())
}

pub(crate) fn big_session(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let topic = world.topic("ringpost.legs");
    world.odd.large(&world.brokers.bootstrap, &topic)?;
    Ok(format!("a call that is too large; {}", kill(world, dice, "")?))
}

pub(crate) fn leader_lost(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let partition = dice.random_range(0..PARTITIONS);
    let node = world.brokers.leader(&world.topic("ringpost.legs"), partition)?;
    world.brokers.kill(node)?;
    pause(seconds(dice, 0.0, 6.0));
    world.brokers.again(node)?;
    pause(seconds(dice, 3.0, 8.0));
    Ok(format!("broker {node}, which led partition {partition}, killed and started again"))
}

/// It is down for half of the traffic, which is owed then.
pub(crate) fn receiver_down(world: &mut World, dice: &mut StdRng) -> anyhow::Result<String> {
    let long = world.traffic.mul_f64(dice.random_range(0.4..0.6));
    let began = Instant::now();
    let how = match dice.random_range(0..3) {
        0 => {
            world.receiving.network.refuse(true);
            "refused connections"
        }
        1 => {
            world.receiving.set(Mood::Failing);
            "answered 500"
        }
        _ => {
            world.receiving.set(Mood::Hanging);
            "hung"
        }
    };
    pause(long);
    world.receiving.set(Mood::Well);
    world.receiving.network.refuse(false);
    world.was_down = Some((began, Instant::now()));
    Ok(format!("the receiver {how} for {:.1} s", long.as_secs_f64()))
}
