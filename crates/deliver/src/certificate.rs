//! Our own certificate, shown to receivers that ask for one: read from PEM, and checked as far as it can be
//! without them. Pure: time is an argument.

use std::fmt;

use chrono::{DateTime, Utc};
use ringpost_model::{Auth, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::Decode;

/// From this long before its end on a certificate is warned of: time enough to get another one.
const WARNED_BEFORE: i64 = 14 * 24 * 60 * 60 * 1_000_000;

/// What is wrong with a certificate or its key; the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CertificateError {
    /// Nothing between the right lines.
    #[error("no certificate is in it: write the PEM text, from -----BEGIN CERTIFICATE----- on, ours first")]
    NoCertificate,
    /// Not PEM, or no certificate.
    #[error("it is no certificate, or cut off: write the PEM text as it was issued, ours first")]
    BadCertificate,
    /// No key that is known.
    #[error(
        "no private key is in it: write the PEM text, from -----BEGIN PRIVATE KEY----- on (or RSA PRIVATE KEY, \
         EC PRIVATE KEY)"
    )]
    NoKey,
    /// A key with a password.
    #[error("the key is encrypted: write it as `openssl pkey -in FILE` prints it, it is sealed in the store")]
    EncryptedKey,
    /// Not a key, or of a kind that TLS does not use.
    #[error("the key cannot be used: write one of RSA (2,048 bits or more), ECDSA (P-256, P-384) or Ed25519")]
    BadKey,
    /// The key of another certificate.
    #[error("the key is not of the first certificate of the chain: put ours first, or write its key")]
    OtherKey,
}

impl CertificateError {
    /// Which key of `auth` it is about.
    pub fn part(self) -> &'static str {
        match self {
            Self::NoCertificate | Self::BadCertificate => "chain",
            Self::NoKey | Self::EncryptedKey | Self::BadKey | Self::OtherKey => "key",
        }
    }
}

/// A chain, ours first, and its key.
pub(crate) struct Certificate {
    pub(crate) chain: Vec<CertificateDer<'static>>,
    pub(crate) key: PrivateKeyDer<'static>,
}

/// Never prints the key.
impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} in the chain)", self.chain.len())
    }
}

impl Certificate {
    /// Reads both, and checks that they belong together.
    pub(crate) fn read(chain: &str, key: &str) -> Result<Self, CertificateError> {
        let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(chain.as_bytes()).collect();
        let chain = parsed.map_err(|_| CertificateError::BadCertificate)?;
        if chain.is_empty() {
            return Err(CertificateError::NoCertificate);
        }
        if chain.iter().any(|certificate| ends(certificate).is_none()) {
            return Err(CertificateError::BadCertificate);
        }
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).map_err(|_| match key {
            key if key.contains("ENCRYPTED") => CertificateError::EncryptedKey,
            _ => CertificateError::NoKey,
        })?;
        let provider = rustls::crypto::ring::default_provider();
        match CertifiedKey::from_der(chain.clone(), key.clone_key(), &provider) {
            Ok(_) => Ok(Self { chain, key }),
            Err(rustls::Error::InconsistentKeys(_)) => Err(CertificateError::OtherKey),
            Err(rustls::Error::InvalidCertificate(_)) => Err(CertificateError::BadCertificate),
            Err(_) => Err(CertificateError::BadKey),
        }
    }

    /// When ours ends.
    fn ends(&self) -> Option<Timestamp> {
        self.chain.first().and_then(|certificate| ends(certificate))
    }
}

/// Checks a certificate, as a trigger is saved and again as it is sent.
///
/// # Errors
/// See [`CertificateError`]; nothing of the key is in it.
pub fn check_certificate(auth: &Auth) -> Result<(), CertificateError> {
    let Auth::Certificate { chain, key } = auth else { return Ok(()) };
    Certificate::read(chain, key).map(|_| ())
}

/// What a person should know of a certificate that is right: it has ended, or ends soon. Sending goes on, because
/// some receivers do not mind.
pub fn certificate_warning(auth: &Auth, now: Timestamp) -> Option<String> {
    let Auth::Certificate { chain, key } = auth else { return None };
    let ends = Certificate::read(chain, key).ok()?.ends()?;
    let date = DateTime::<Utc>::from_timestamp_micros(ends.micros())?.format("%Y-%m-%d %H:%M UTC");
    if ends <= now {
        return Some(format!("our certificate ended on {date}: most receivers refuse it"));
    }
    (ends.micros() - now.micros() < WARNED_BEFORE)
        .then(|| format!("our certificate ends on {date}: get another one before"))
}

/// `notAfter` of a certificate (RFC 5280, 4.1). The TLS library reads it too and keeps it to itself.
pub(crate) fn ends(certificate: &[u8]) -> Option<Timestamp> {
    let certificate = x509_cert::Certificate::from_der(certificate).ok()?;
    let ends = certificate.tbs_certificate().validity().not_after.to_unix_duration();
    Some(Timestamp::from_micros(i64::try_from(ends.as_micros()).ok()?))
}

#[cfg(test)]
mod tests;
