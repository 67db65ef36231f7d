//! HTTP clients by the certificate that they show: one for all that show none, and one for each certificate, so
//! that no connection made as somebody is used as somebody else.

use std::sync::{Arc, Mutex, PoisonError};

use ringpost_model::Auth;
use sha2::{Digest, Sha256};

use super::pool::{self, Http};
use super::{ClientError, Config};
use crate::certificate::Certificate;
use crate::exchange::{Failure, FailureKind};
use crate::kept::Kept;
use crate::resolve::Resolver;
use crate::tls::Tls;

/// The clients of a process.
pub(super) struct Identities {
    config: Config,
    resolver: Arc<Resolver>,
    tls: Tls,
    nobody: Http,
    kept: Mutex<Kept<[u8; 32], Http>>,
}

impl Identities {
    pub(super) fn new(mut config: Config, resolver: Arc<Resolver>) -> Result<Self, ClientError> {
        let tls = Tls::new(std::mem::take(&mut config.extra_roots))?;
        let nobody = pool::client(&config, &resolver, tls.config(None)?)?;
        let kept = Mutex::new(Kept::new(config.certificates));
        Ok(Self { config, resolver, tls, nobody, kept })
    }

    /// For who shows no certificate.
    pub(super) fn nobody(&self) -> Http {
        self.nobody.clone()
    }

    /// The client of a trigger.
    pub(super) fn of(&self, auth: &Auth) -> Result<Http, Failure> {
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

    fn make(&self, chain: &str, key: &str) -> Result<Http, Failure> {
        let unsendable = |error: &dyn std::error::Error| {
            let text = format!("use the certificate of the trigger: {error}");
            Failure { kind: FailureKind::Unsendable, text }
        };
        let certificate = Certificate::read(chain, key).map_err(|error| unsendable(&error))?;
        let tls = self.tls.config(Some(certificate)).map_err(|error| unsendable(&error))?;
        pool::client(&self.config, &self.resolver, tls).map_err(|error| unsendable(&error))
    }
}
