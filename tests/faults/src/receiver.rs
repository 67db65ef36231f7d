//! The receiver of a run: every company has two triggers that tell it calls, by way of a network that can fail.
//!
//! It is not an easy one: it takes a moment, and refuses one delivery in sixteen at its first try.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use ringpost_simulate::Truth;
use ringpost_tests::{Receiver, Reply, Request};
use tokio::runtime::Runtime;

use crate::odd;
use crate::proxy::{self, Network};

/// As many do; so that something is under way whenever somebody is killed.
const MOMENT: Duration = Duration::from_millis(200);

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Mood {
    Well,
    /// 500 to everything.
    Failing,
    /// Takes requests, and never answers.
    Hanging,
}

/// It runs as long as its owner lives.
pub(crate) struct Receiving {
    receiver: Receiver,
    /// Between it and whoever delivers.
    pub(crate) network: Arc<Network>,
    port: u16,
    mood: Arc<AtomicU8>,
    _runtime: Runtime,
}

impl Receiving {
    pub(crate) fn start() -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let mood = Arc::new(AtomicU8::new(Mood::Well as u8));
        let (now, known) = (Arc::clone(&mood), Mutex::new(BTreeSet::new()));
        let receiver = runtime.block_on(Receiver::start(move |request| {
            let is_new =
                known.lock().is_ok_and(|mut known| known.insert(request.header("webhook-id").to_owned()));
            answer(now.load(Ordering::Relaxed), is_new, request)
        }));
        let (port, listeners) = proxy::listen(1)?;
        let network = Arc::new(Network::default());
        for listener in listeners {
            proxy::serve(listener, receiver.port(), Arc::clone(&network));
        }
        Ok(Self { receiver, network, port, mood, _runtime: runtime })
    }

    pub(crate) fn set(&self, mood: Mood) {
        self.mood.store(mood as u8, Ordering::Relaxed);
    }

    /// All that came so far, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.receiver.requests()
    }

    /// What `ringpost apply` is to be given: the companies, and their triggers. One is told every revision of every call,
    /// the other one of lost calls.
    pub(crate) fn resources(&self, truths: &[Truth]) -> String {
        let pbxs = truths.iter().map(|truth| (truth.pbx.as_str(), truth.tenant.as_str()));
        let pbxs: BTreeSet<(&str, &str)> = pbxs.chain([(odd::PBX, odd::TENANT)]).collect();
        let tenants: BTreeSet<&str> = pbxs.iter().map(|(_, tenant)| *tenant).collect();
        let mut text = String::new();
        for tenant in tenants {
            text += &format!("[[tenant]]\nkey = \"{tenant}\"\n");
            for (name, filters) in
                [("all", "[]"), ("lost", r#"[{ field = "lost", op = "eq", value = true }]"#)]
            {
                let url = format!("http://127.0.0.1:{}/{name}/{tenant}", self.port);
                text += &format!("[[trigger]]\ntenant = \"{tenant}\"\nname = \"{name}\"\nurl = \"{url}\"\n");
                text += &format!("revisions = \"all\"\nretries = 10\nfilters = {filters}\n");
            }
        }
        for (pbx, tenant) in pbxs {
            text += &format!("[[pbx]]\nkey = \"{pbx}\"\ntenant = \"{tenant}\"\n");
        }
        text
    }
}

fn answer(mood: u8, is_new: bool, request: &Request) -> Reply {
    // Ids are as good as dice.
    let is_unlucky = is_new && request.header("webhook-id").ends_with('0');
    match mood {
        mood if mood == Mood::Hanging as u8 => Reply::hang(),
        mood if mood == Mood::Failing as u8 || is_unlucky => Reply::status(500).after(MOMENT),
        _ => Reply::status(200).after(MOMENT),
    }
}
