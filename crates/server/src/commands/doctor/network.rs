//! Ports, open files, and the receivers' side of the network.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use ringpost_deliver::{AddressRules, Lookup, SystemLookup, greet};
use url::{Host, Url};

use super::finding::Finding;
use crate::clock;
use crate::config::{Config, Role};
use crate::serve::extra_roots;

/// As long as a delivery has for all of it.
const DEADLINE: Duration = Duration::from_secs(10);
/// Days before a certificate ends from which on it is worth a word.
const SOON: i64 = 14;
/// Origins that are busy to their bound at the same time: seldom more than a few.
const ORIGINS: usize = 4;
/// Files of the store, the journal, and the system.
const OWN_FILES: u64 = 256;

/// Whether the ports can be had, or are had by our own server.
pub(super) fn ports(config: &Config) -> Vec<Finding> {
    let is_running = ringpost_bus::is_in_use(&config.data.dir);
    let intake = config.serve.has(Role::Ingest).then_some(("http.listen", config.http.listen));
    let ports = intake.into_iter().chain([("admin.listen", config.admin.listen)]);
    ports.map(|(key, address)| port(key, address, is_running)).collect()
}

fn port(key: &str, address: SocketAddr, is_running: bool) -> Finding {
    match TcpListener::bind(address) {
        Ok(_) if is_running => Finding::warning(
            key,
            format!("{address} is free, and a server runs on the data folder"),
            "it was started with another address: give the same configuration here",
        ),
        Ok(_) => Finding::ok(key, format!("{address} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse && is_running => {
            Finding::ok(key, format!("{address} is in use, and a server runs on the data folder"))
        }
        Err(error) => {
            let todo = format!("set another {key}, or stop what uses it");
            Finding::problem(key, format!("{address}: {error}"), todo)
        }
    }
}

/// How many files the server may have open; it raises its limit as far as it may.
pub(super) fn files(config: &Config) -> Finding {
    let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile);
    open_files(limit.maximum, config)
}

fn open_files(limit: Option<u64>, config: &Config) -> Finding {
    let connections = config.http.max_connections + config.delivery.connections_per_origin * ORIGINS;
    let needed = connections as u64 + OWN_FILES;
    let Some(limit) = limit.filter(|limit| *limit < needed) else {
        return Finding::ok("open files", format!("{needed} are needed at most, and allowed"));
    };
    let todo = format!(
        "LimitNOFILE={needed} in the service file, or ulimit -Hn, or smaller limits in the configuration"
    );
    Finding::warning("open files", format!("at most {limit}, and busy days need {needed}"), todo)
}

/// Looks one receiver up, applies the address rules, connects and looks at its certificate. Nothing is sent.
pub(super) async fn receiver(name: &str, url: &str, config: &Config, lookup: &SystemLookup) -> Finding {
    let Ok(url) = url.parse::<Url>() else {
        return Finding::problem(
            "receiver",
            format!("{name}: its URL cannot be read"),
            "correct it with `apply`",
        );
    };
    let origin = url.origin().ascii_serialization();
    let shown = format!("{name}: {origin}");
    let began = Instant::now();
    let addresses = match url.host() {
        Some(Host::Ipv4(ip)) => Ok(vec![IpAddr::from(ip)]),
        Some(Host::Ipv6(ip)) => Ok(vec![IpAddr::from(ip)]),
        Some(Host::Domain(domain)) => match tokio::time::timeout(DEADLINE, lookup.lookup(domain)).await {
            Ok(found) => found.map_err(|error| error.to_string()),
            Err(_) => Err("no answer of the name servers".to_owned()),
        },
        None => Err("it has no host".to_owned()),
    };
    let looked_up = began.elapsed();
    let addresses = match addresses {
        Ok(addresses) if !addresses.is_empty() => addresses,
        Ok(_) => return Finding::problem("receiver", format!("{shown}: no address"), "correct the name"),
        Err(error) => {
            return Finding::problem(
                "receiver",
                format!("{shown}: {error}"),
                "look at the name and /etc/resolv.conf",
            );
        }
    };
    if let Err(refused) = AddressRules::allowing(config.delivery.allow_networks.clone()).check_all(&addresses)
    {
        let todo = "correct the name, or allow the network in delivery.allow_networks";
        return Finding::problem("receiver", format!("{shown}: {refused}"), todo);
    }
    if config.delivery.proxy.is_some() {
        return Finding::ok(
            "receiver",
            format!("{shown}, looked up in {} ms; behind the proxy", looked_up.as_millis()),
        );
    }
    let port = url.port_or_known_default().unwrap_or(443);
    let connected =
        tokio::time::timeout(DEADLINE, tokio::net::TcpStream::connect((addresses[0], port))).await;
    let todo = "it may be down; what is for it waits. Look at the way out of this network";
    match connected {
        Ok(Ok(_)) if url.scheme() == "https" => {
            let host = url.host_str().unwrap_or_default().trim_start_matches('[').trim_end_matches(']');
            certificate(&shown, host, (addresses[0], port).into(), config).await
        }
        Ok(Ok(_)) => {
            let all = began.elapsed().as_millis();
            Finding::ok(
                "receiver",
                format!("{shown}, looked up in {} ms, connected after {all} ms", looked_up.as_millis()),
            )
        }
        Ok(Err(error)) => Finding::warning("receiver", format!("{shown}: {error}"), todo),
        Err(_) => Finding::warning("receiver", format!("{shown}: no connection within 10 s"), todo),
    }
}

/// Agrees on TLS as a delivery does, and says when the receiver's certificate ends.
async fn certificate(shown: &str, host: &str, address: SocketAddr, config: &Config) -> Finding {
    let roots = match extra_roots(&config.delivery) {
        Ok(roots) => roots,
        Err(error) => {
            return Finding::problem("delivery.extra_roots", format!("{error:#}"), "correct the path");
        }
    };
    let ends = match tokio::time::timeout(DEADLINE, greet(host, address, roots)).await {
        Ok(Ok(ends)) => ends,
        Ok(Err(error)) => {
            let text = format!("{shown}: {:#}", anyhow::Error::new(error));
            let todo =
                "its owner has to renew or correct it; a root of your own goes into delivery.extra_roots";
            return Finding::problem("certificate", text, todo);
        }
        Err(_) => {
            let todo = "what is for it waits until it answers again";
            return Finding::warning("certificate", format!("{shown}: no TLS within 10 s"), todo);
        }
    };
    let Some(ends) = ends else { return Finding::ok("certificate", format!("{shown}: trusted")) };
    let days = (ends.seconds() - clock::now().seconds()) / 86_400;
    let text = format!("{shown}: trusted, ends in {days} days");
    if days < SOON {
        return Finding::warning("certificate", text, "tell its owner: deliveries fail from then on");
    }
    Finding::ok("certificate", text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_somebody_else_has_is_a_problem_and_our_own_servers_is_none() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap();
        assert!(port("http.listen", address, false).is_problem());
        assert!(!port("http.listen", address, true).is_problem());
    }

    #[test]
    fn a_limit_below_what_the_configuration_may_need_is_told() {
        let mut config = Config::default();
        (config.http.max_connections, config.delivery.connections_per_origin) = (1_000, 100);
        assert_eq!(open_files(None, &config).text, "1656 are needed at most, and allowed");
        let few = open_files(Some(1_024), &config);
        assert_eq!(few.text, "at most 1024, and busy days need 1656");
        assert!(!few.is_problem() && few.todo.starts_with("LimitNOFILE=1656 "));
    }

    #[tokio::test]
    async fn a_receiver_inside_our_network_is_refused_unless_it_is_allowed() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}/secret/path", listener.local_addr().unwrap());
        let lookup = SystemLookup::new().unwrap();
        let mut config = Config::default();
        let refused = receiver("CRM", &url, &config, &lookup).await;
        assert!(refused.is_problem() && !refused.text.contains("secret"), "{refused:?}");
        config.delivery.allow_networks = vec!["127.0.0.0/8".parse().unwrap()];
        assert!(!receiver("CRM", &url, &config, &lookup).await.is_problem());
    }
}
