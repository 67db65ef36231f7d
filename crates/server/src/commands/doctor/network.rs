//! Ports, open files, and the receivers' side of the network.

use std::net::{IpAddr, SocketAddr, TcpListener};
use std::time::{Duration, Instant};

use ringpost_deliver::{AddressRules, Lookup, SystemLookup};
use url::{Host, Url};

use super::finding::Finding;
use crate::config::Config;

/// As long as a delivery has for all of it.
const DEADLINE: Duration = Duration::from_secs(10);
/// The names of a service file's and a shell's setting.
const FEW_FILES: u64 = 4_096;

/// Whether the ports can be had, or are had by our own server.
pub(super) fn ports(config: &Config) -> Vec<Finding> {
    let is_running = ringpost_bus::is_in_use(&config.data.dir);
    [("http.listen", config.http.listen), ("admin.listen", config.admin.listen)]
        .map(|(key, address)| port(key, address, is_running))
        .to_vec()
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

/// How many files a process started like this one may have open.
pub(super) fn files() -> Option<Finding> {
    let text = std::fs::read_to_string("/proc/self/limits").ok()?;
    let line = text.lines().find(|line| line.starts_with("Max open files"))?;
    let soft = line.split_whitespace().nth(3)?;
    let limit: u64 = soft.parse().unwrap_or(u64::MAX);
    Some(if limit < FEW_FILES {
        let todo = "LimitNOFILE=65536 in the service file, or ulimit -n 65536 before the start";
        Finding::warning("open files", format!("at most {limit} in a process started from here"), todo)
    } else {
        Finding::ok("open files", format!("at most {soft}"))
    })
}

/// Looks one receiver up, applies the address rules, and connects. Nothing is sent.
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
