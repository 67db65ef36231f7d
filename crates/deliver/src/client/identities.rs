//! HTTP clients by the certificate that they show: one for all that show none, and one for each certificate, so
//! that no connection made as somebody is used as somebody else.

use std::sync::{Arc, Mutex, PoisonError};

use ringpost_model::Auth;
use sha2::{Digest, Sha256};

use super::{ClientError, Config};
use crate::certificate::Certificate;
use crate::exchange::{Failure, FailureKind};
use crate::kept::Kept;
use crate::resolve::{ReqwestResolver, Resolver};
use crate::tls::Tls;
use crate::trace::ConnectLayer;

/// The clients of a process.
pub(super) struct Identities {
    config: Config,
    resolver: Arc<Resolver>,
    tls: Tls,
    nobody: reqwest::Client,
    kept: Mutex<Kept<[u8; 32], reqwest::Client>>,
}

impl Identities {
    pub(super) fn new(mut config: Config, resolver: Arc<Resolver>) -> Result<Self, ClientError> {
        let tls = Tls::new(std::mem::take(&mut config.extra_roots))?;
        let nobody = http_client(&config, &resolver, tls.config(None)?)?;
        let kept = Mutex::new(Kept::new(config.certificates));
        Ok(Self { config, resolver, tls, nobody, kept })
    }

    /// For who shows no certificate.
    pub(super) fn nobody(&self) -> reqwest::Client {
        self.nobody.clone()
    }

    /// The client of a trigger.
    pub(super) fn of(&self, auth: &Auth) -> Result<reqwest::Client, Failure> {
        let Auth::Certificate { chain, key } = auth else { return Ok(self.nobody()) };
        let mut hash = Sha256::new();
        hash.update(chain.len().to_le_bytes());
        hash.update(&**chain);
        hash.update(&**key);
        let fingerprint: [u8; 32] = hash.finalize().into();
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = kept.get(&fingerprint) {
            return Ok(client.clone());
        }
        let client = self.make(chain, key)?;
        Ok(kept.get_or(fingerprint, || client).clone())
    }

    fn make(&self, chain: &str, key: &str) -> Result<reqwest::Client, Failure> {
        let unsendable = |error: &dyn std::error::Error| {
            let text = format!("use the certificate of the trigger: {error}");
            Failure { kind: FailureKind::Unsendable, text }
        };
        let certificate = Certificate::read(chain, key).map_err(|error| unsendable(&error))?;
        let tls = self.tls.config(Some(certificate)).map_err(|error| unsendable(&error))?;
        http_client(&self.config, &self.resolver, tls).map_err(|error| unsendable(&error))
    }
}

fn http_client(
    config: &Config,
    resolver: &Arc<Resolver>,
    tls: rustls::ClientConfig,
) -> Result<reqwest::Client, ClientError> {
    let mut builder = reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .referer(false)
        .tls_backend_preconfigured(tls)
        .dns_resolver(ReqwestResolver(resolver.clone()))
        .connector_layer(ConnectLayer)
        // Split among the addresses of a name, so that a dead one leaves time for the next.
        .connect_timeout(config.deadline)
        .pool_idle_timeout(config.idle_timeout)
        .pool_max_idle_per_host(config.idle_per_origin)
        .tcp_nodelay(true);
    if let Some(address) = config.proxy {
        let proxy = reqwest::Proxy::all(format!("socks5://{address}")).map_err(ClientError::Http)?;
        builder = builder.proxy(proxy);
    }
    builder.build().map_err(ClientError::Http)
}
