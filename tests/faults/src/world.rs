//! All that a run consists of, and a fault may lay hands on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use ringpost_simulate::Truth;

use crate::brokers::Brokers;
use crate::fault::{Layout, SPLIT};
use crate::instance::{Instance, Setting};
use crate::odd::Odd;
use crate::postgres::Postgres;
use crate::proxy::{self, Network};
use crate::receiver::Receiving;
use crate::run::Plan;

/// Everything is gone with it; instances first.
pub(crate) struct World {
    pub(crate) instances: Vec<Instance>,
    pub(crate) brokers: Brokers,
    /// Between instances and brokers.
    pub(crate) network: Arc<Network>,
    /// None: the store is in a folder.
    pub(crate) postgres: Option<Postgres>,
    pub(crate) receiving: Receiving,
    /// Traffic goes on for so long.
    pub(crate) traffic: Duration,
    /// From when to when the receiver was down.
    pub(crate) was_down: Option<(Instant, Instant)>,
    /// What was written beside the calls.
    pub(crate) odd: Odd,
    setting: Setting,
    twins: usize,
}

impl World {
    /// When all of it is up.
    pub(crate) fn start(plan: &Plan, truths: &[Truth]) -> anyhow::Result<Self> {
        let (nodes, layout) = (plan.fault.nodes(), plan.fault.layout());
        let (port, listeners) = proxy::listen(nodes)?;
        let brokers = Brokers::start(&plan.folder, nodes, port)?;
        let network = Arc::new(Network::default());
        for (listener, to) in listeners.into_iter().zip(&brokers.behind) {
            proxy::serve(listener, *to, Arc::clone(&network));
        }
        let by_proxy: Vec<String> = (0..nodes).map(|node| format!("127.0.0.1:{}", port + node)).collect();
        let postgres = (layout == Layout::Split).then(|| Postgres::start(&plan.folder)).transpose()?;
        let setting = Setting {
            binary: plan.binary.clone(),
            folder: plan.folder.clone(),
            bootstrap: by_proxy.join(","),
            prefix: "faults.".to_owned(),
            store: postgres.as_ref().map(|postgres| postgres.url.clone()),
        };
        let receiving = Receiving::start()?;
        let mut world = Self {
            instances: Vec::new(),
            brokers,
            network,
            postgres,
            receiving,
            traffic: plan.traffic,
            was_down: None,
            odd: Odd::default(),
            setting,
            twins: 0,
        };
        match layout {
            Layout::Whole(count) => (0..count).try_for_each(|_| world.add_instance())?,
            Layout::Split => world.split()?,
        }
        world.instances[0].create_topics(nodes)?;
        world.instances[0].apply(&world.receiving.resources(truths))?;
        world.instances.iter_mut().try_for_each(Instance::start)?;
        world.instances.iter_mut().try_for_each(|instance| instance.until_up(0))?;
        Ok(world)
    }

    fn split(&mut self) -> anyhow::Result<()> {
        for (name, roles) in SPLIT {
            self.instances.push(Instance::new(&self.setting, name, roles)?);
        }
        Ok(())
    }

    /// One more with all roles.
    pub(crate) fn add_instance(&mut self) -> anyhow::Result<()> {
        let name = format!("instance-{}", self.instances.len());
        self.instances.push(Instance::new(&self.setting, &name, "")?);
        Ok(())
    }

    /// Another one of the same name, with a folder of its own.
    pub(crate) fn twin_of(&mut self, at: usize) -> anyhow::Result<Instance> {
        self.twins += 1;
        let Instance { name, roles, .. } = &self.instances[at];
        Instance::in_folder(&self.setting, name, &format!("{name}-twin-{}", self.twins), roles)
    }

    pub(crate) fn running(&self) -> Vec<usize> {
        let all = self.instances.iter().enumerate();
        all.filter(|(_, instance)| instance.is_running()).map(|(at, _)| at).collect()
    }

    /// A process that ended by itself, which none may.
    pub(crate) fn check(&mut self) -> anyhow::Result<()> {
        self.instances.iter_mut().try_for_each(Instance::check)
    }

    /// All that run are stopped in order.
    pub(crate) fn stop(&mut self) -> anyhow::Result<()> {
        self.running().into_iter().try_for_each(|at| self.instances[at].stop())
    }

    pub(crate) fn topic(&self, name: &str) -> String {
        format!("{}{name}", self.setting.prefix)
    }
}
