//! A bad network between instances and brokers or receivers: latency, connections that are cut, and such that are half-open, where
//! nothing arrives and nobody is told.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use anyhow::Context;

use crate::pause;

/// While a connection is half-open it is looked at so often.
const MOMENT: Duration = Duration::from_millis(20);

/// What the network is like.
#[derive(Default)]
pub(crate) struct Network {
    /// On each piece that is passed on, in milliseconds.
    latency: AtomicU64,
    is_silent: AtomicBool,
    /// Nobody listens.
    is_refused: AtomicBool,
    /// Connections that began before the last cut are over.
    cuts: AtomicU64,
}

impl Network {
    /// Everything takes so long from now on.
    pub(crate) fn delay(&self, latency: Duration) {
        self.latency.store(latency.as_millis() as u64, Ordering::Relaxed);
    }

    /// Nothing arrives any more, or all again.
    pub(crate) fn silence(&self, is_silent: bool) {
        self.is_silent.store(is_silent, Ordering::Relaxed);
    }

    /// No connection is made any more, and there is none; or they are made again.
    pub(crate) fn refuse(&self, is_refused: bool) {
        self.is_refused.store(is_refused, Ordering::Relaxed);
        self.cut();
    }

    /// All connections are closed; new ones may be made.
    pub(crate) fn cut(&self) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
    }
}

/// A free port with as many free ones after it, each a listener.
pub(crate) fn listen(count: u16) -> anyhow::Result<(u16, Vec<TcpListener>)> {
    for first in (36_000_u16..46_000).step_by(7) {
        let listeners: Result<Vec<_>, _> =
            (first..first + count).map(|port| TcpListener::bind(("127.0.0.1", port))).collect();
        if let Ok(listeners) = listeners {
            return Ok((first, listeners));
        }
    }
    anyhow::bail!("no free ports for the proxy")
}

/// Passes on what comes in by a listener to a port. It ends with the process.
pub(crate) fn serve(listener: TcpListener, to: u16, network: Arc<Network>) {
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let network = Arc::clone(&network);
            if network.is_refused.load(Ordering::Relaxed) {
                continue;
            }
            // A broker that is away closes what comes in, as it would itself.
            let Ok(server) = TcpStream::connect(("127.0.0.1", to)) else { continue };
            _ = connect(&client, &server, &network);
        }
    });
}

fn connect(client: &TcpStream, server: &TcpStream, network: &Arc<Network>) -> anyhow::Result<()> {
    let cut = network.cuts.load(Ordering::Relaxed);
    for (from, to) in [(client, server), (server, client)] {
        let (from, to) = (from.try_clone().context("a socket")?, to.try_clone().context("a socket")?);
        from.set_read_timeout(Some(MOMENT))?;
        let network = Arc::clone(network);
        thread::spawn(move || pass(from, to, &network, cut));
    }
    Ok(())
}

fn pass(mut from: TcpStream, mut to: TcpStream, network: &Network, cut: u64) {
    let mut bytes = vec![0; 64 << 10];
    while network.cuts.load(Ordering::Relaxed) == cut {
        if network.is_silent.load(Ordering::Relaxed) {
            pause(MOMENT);
            continue;
        }
        match from.read(&mut bytes) {
            Ok(0) => break,
            Ok(count) => {
                pause(Duration::from_millis(network.latency.load(Ordering::Relaxed)));
                if to.write_all(&bytes[..count]).is_err() {
                    break;
                }
            }
            Err(error) if is_quiet(&error) => {}
            Err(_) => break,
        }
    }
    for socket in [from, to] {
        _ = socket.shutdown(Shutdown::Both);
    }
}

fn is_quiet(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::WouldBlock | std::io::ErrorKind::TimedOut)
}
