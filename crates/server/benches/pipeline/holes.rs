//! Receivers that never answer, beside healthy ones: what the healthy ones notice of them.

use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};

use crate::figures::{Spread, tell};
use crate::latency::Run;
use crate::receiver::Receiver;

/// Healthy receivers, each of its own tenant, all on one host.
const HEALTHY: usize = 20;
/// Tenants whose receiver is a hole, and as many for the other half of a pair whose receiver is none.
const HOLES: usize = 3;
/// Pairs of a run with holes and one without.
const PAIRS: usize = 10;
/// Calls a second, those for the holes included.
const RATE: usize = 300;
const SECONDS: usize = 5;
/// Until connections stand and caches are filled.
const WARM: usize = RATE;

/// Ten pairs, with and without, each on a fresh installation.
pub(crate) async fn measure() {
    let mut ratios = Vec::new();
    let mut of = [Vec::new(), Vec::new()];
    for pair in 0..PAIRS {
        let mut p99 = [0.0; 2];
        // Who goes first takes turns.
        for half in [pair % 2, 1 - pair % 2] {
            p99[half] = healthy(half == 1).await.at(0.99);
            of[half].push(p99[half]);
        }
        ratios.push(p99[1] / p99[0]);
    }
    let [without, with] = of.map(Spread::of);
    let ratios = Spread::of(ratios);
    tell(
        &format!("{HOLES} black holes among {HEALTHY} receivers, {PAIRS} pairs"),
        &format!(
            "p99 of the healthy: median ratio {:.2} ({:.2} to {:.2}); median {:.1} ms with, {:.1} ms without",
            ratios.at(0.5),
            ratios.at(0.0),
            ratios.at(1.0),
            with.at(0.5),
            without.at(0.5)
        ),
    );
}

/// Latencies of the healthy receivers.
async fn healthy(with_holes: bool) -> Spread {
    let calls = RATE * SECONDS;
    let silent = silent().await;
    let run = Run::start(calls, |receiver| urls(receiver, &silent)).await;
    let tenant = |call: usize| match call % (HEALTHY + HOLES) {
        hole @ HEALTHY.. if !with_holes => hole + HOLES,
        tenant => tenant,
    };
    run.steady(0, calls, RATE, tenant).await;
    let is_healthy = |call: &usize| tenant(*call) < HEALTHY || !with_holes;
    run.receiver.until((0..calls).filter(is_healthy).count()).await;
    run.spread_of((WARM..calls).filter(|call| tenant(*call) < HEALTHY))
}

/// Healthy ones, holes, and what stands for the holes where there are none. The first two holes are on the host of
/// the healthy ones: one never answers, one answers without end. The third takes connections and never says a word,
/// so that TLS does not come about.
fn urls(receiver: &Receiver, silent: &str) -> Vec<String> {
    let healthy = (0..HEALTHY).map(|number| receiver.url(&format!("/{number}")));
    let holes = [receiver.url("/hangs"), receiver.url("/endless"), silent.to_owned()];
    let twins = (0..HOLES).map(|number| receiver.url(&format!("/twin-{number}")));
    healthy.chain(holes).chain(twins).collect()
}

/// A host that takes connections and nothing else.
async fn silent() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    tokio::spawn(async move {
        let mut open: Vec<TcpStream> = Vec::new();
        while let Ok(Ok((stream, _))) = tokio::time::timeout(Duration::from_secs(60), listener.accept()).await
        {
            open.push(stream);
        }
    });
    format!("https://{address}/")
}
