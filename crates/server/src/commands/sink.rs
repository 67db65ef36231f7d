//! `ringpost sink`: a receiver for trying things out. It prints what it gets, and fails on request.
//!
//! It keeps nothing but what `--record` asks for, and is no part of `serve`.

mod behaviour;
mod received;
mod record;
mod server;
mod show;

#[cfg(test)]
mod tests;

use std::fs::OpenOptions;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::sync::mpsc;

use crate::cli::{Failure, Io, Outcome};
use behaviour::{Behaviour, Route, Routes};
use received::Received;
use server::Settings;

/// Requests waiting to be printed; a full queue makes senders wait, as a slow receiver would.
const QUEUE: usize = 256;

/// Arguments of `sink`.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  ringpost sink                                print what arrives, answer 202
  ringpost sink --delay 3s                     a slow receiver
  ringpost sink --fail-first 1                 each delivery fails once, its retry succeeds
  ringpost sink --status 429 --retry-after 5   asks the sender to wait
  ringpost sink --secret whsec_…               checks the signatures
  ringpost sink --route /slow=delay:3s --route /gone=gone --route /lossy=fail-every:3
                                               several receivers in one, by path

A route is PATH=BEHAVIOUR[,BEHAVIOUR…]; there are status:CODE, delay:TIME, retry-after:SECONDS, \
fail-every:N, fail-first:N, hang, gone, endless-body. It holds for the path and all below it, the \
longest wins, and starts from nothing: the flags hold for every other path.")]
pub struct Sink {
    /// Address and port to listen on; port 0 takes a free one and says which
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9000")]
    pub listen: String,
    /// Status of the answer
    #[arg(long, value_name = "CODE", default_value_t = 202, value_parser = clap::value_parser!(u16).range(200..=599))]
    pub status: u16,
    /// Wait before each answer, such as 3s or 200ms
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration)]
    pub delay: Option<std::time::Duration>,
    /// Never answer
    #[arg(long)]
    pub hang: bool,
    /// Every Nth request fails: 500, or 429 together with --retry-after
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub fail_every: Option<u32>,
    /// The first N tries of each delivery (webhook-id) fail alike
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub fail_first: Option<u32>,
    /// Send Retry-After with what is no success; alone it answers 429 to everything
    #[arg(long, value_name = "SECONDS")]
    pub retry_after: Option<u32>,
    /// Answer 410: the receiver wants no more
    #[arg(long)]
    pub gone: bool,
    /// Answer at once with a body that never ends
    #[arg(long)]
    pub endless_body: bool,
    /// Check signatures with this secret; twice during a rotation
    #[arg(long, value_name = "whsec_…")]
    pub secret: Vec<String>,
    /// Another behaviour for a path, see below
    #[arg(long, value_name = "PATH=BEHAVIOUR")]
    pub route: Vec<String>,
    /// Append every request as one line of JSON, headers as they came (secrets too)
    #[arg(long, value_name = "FILE")]
    pub record: Option<PathBuf>,
    /// One line for each request
    #[arg(long, short)]
    pub quiet: bool,
}

impl Sink {
    fn settings(&self) -> Result<Settings, Failure> {
        let others = Behaviour {
            status: self.status,
            delay: self.delay.unwrap_or_default(),
            retry_after: self.retry_after,
            fail_every: self.fail_every,
            fail_first: self.fail_first,
            hang: self.hang,
            endless_body: self.endless_body,
        };
        let others = if self.gone { Behaviour { status: 410, ..others } } else { others };
        let others = others.settled(self.status != 202 || self.gone);
        let routes: Result<Vec<Route>, String> = self.route.iter().map(|text| text.parse()).collect();
        let routes = Routes::new(others, routes.map_err(Failure::Usage)?);
        Settings::new(routes, &self.secret).map_err(Failure::Usage)
    }
}

/// Listens until a signal asks to stop.
///
/// # Errors
/// Flags that do not go together, or an address that cannot be listened on.
pub fn run(args: &Sink, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let settings = args.settings()?;
    io.runtime()?.block_on(listen(args, settings, io))
}

async fn listen(args: &Sink, settings: Settings, io: &mut Io<'_>) -> Result<Outcome, Failure> {
    let listener = TcpListener::bind(&args.listen).await;
    let listener = listener.with_context(|| format!("listen on {}", args.listen))?;
    writeln!(io.stderr, "sink: listening on http://{}", listener.local_addr()?)?;
    let (sender, receiver) = mpsc::channel(QUEUE);
    let serving = server::serve(listener, settings, sender);
    let mut seen = Seen::default();
    let done = tokio::select! {
        served = serving => served.map_err(Failure::from),
        printed = print(args, receiver, io, &mut seen) => printed,
        () = asked_to_stop() => Ok(()),
    };
    writeln!(
        io.stderr,
        "sink: {} requests, {} deliveries, {} repeats",
        seen.requests, seen.deliveries, seen.repeats
    )?;
    done.map(|()| Outcome::Fine)
}

/// Ends with the first SIGINT or SIGTERM. Where there are no signals the sink ends by being killed, which loses
/// nothing.
async fn asked_to_stop() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => drop(signal.recv().await),
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}

#[derive(Debug, Default)]
struct Seen {
    requests: u64,
    deliveries: u64,
    repeats: u64,
}

async fn print(
    args: &Sink,
    mut receiver: mpsc::Receiver<Received>,
    io: &mut Io<'_>,
    seen: &mut Seen,
) -> Result<(), Failure> {
    let mut file = match &args.record {
        Some(path) => {
            let file = OpenOptions::new().create(true).append(true).open(path);
            Some(file.with_context(|| format!("open {}", path.display()))?)
        }
        None => None,
    };
    let look = show::Look { coloured: io.stdout_is_terminal, brief: args.quiet };
    while let Some(received) = receiver.recv().await {
        seen.requests += 1;
        seen.deliveries += u64::from(received.attempt == Some(1));
        seen.repeats += u64::from(received.attempt.is_some_and(|attempt| attempt > 1));
        if let Some(file) = &mut file {
            record::append(&received, file).context("append to the record of requests")?;
        }
        io.stdout.write_all(show::text(&received, look).as_bytes())?;
        io.stdout.flush()?;
    }
    Ok(())
}
