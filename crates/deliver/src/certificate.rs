//! Our own certificate, shown to receivers that ask for one: read from PEM, and checked as far as it can be
//! without them. Pure: time is an argument.

use std::fmt;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use ringpost_model::{Auth, Timestamp};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

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

const SEQUENCE: u8 = 0x30;
const UTC_TIME: u8 = 0x17;
const GENERALIZED_TIME: u8 = 0x18;
const VERSION: u8 = 0xa0;

/// `notAfter` of a certificate (RFC 5280, 4.1). The TLS library reads it too and keeps it to itself.
fn ends(certificate: &[u8]) -> Option<Timestamp> {
    let (_, certificate, _) = element(certificate, SEQUENCE)?;
    let (_, mut rest, _) = element(certificate, SEQUENCE)?;
    if rest.first() == Some(&VERSION) {
        rest = any_element(rest)?.2;
    }
    // Serial number, algorithm, issuer.
    for _ in 0..3 {
        rest = any_element(rest)?.2;
    }
    let (_, validity, _) = element(rest, SEQUENCE)?;
    let not_after = any_element(validity)?.2;
    let (tag, text, _) = any_element(not_after)?;
    let text = std::str::from_utf8(text).ok()?;
    let time = match tag {
        UTC_TIME => {
            // Years of two digits are 1950 to 2049.
            let year: i32 = text.get(..2)?.parse().ok()?;
            let year = if year < 50 { 2000 + year } else { 1900 + year };
            format!("{year}{}", text.get(2..)?)
        }
        GENERALIZED_TIME => text.to_owned(),
        _ => return None,
    };
    let time = NaiveDateTime::parse_from_str(&time, "%Y%m%d%H%M%SZ").ok()?;
    // The year 9999 means that there is no end (4.1.2.5).
    let time = time.min(NaiveDate::from_ymd_opt(9999, 1, 1)?.and_hms_opt(0, 0, 0)?);
    Some(Timestamp::from_micros(time.and_utc().timestamp_micros()))
}

fn element(bytes: &[u8], tag: u8) -> Option<(u8, &[u8], &[u8])> {
    any_element(bytes).filter(|(found, ..)| *found == tag)
}

/// Tag and content of the first element of DER, and what follows.
fn any_element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (&tag, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        // A certificate has at most 16 MiB: three bytes of length.
        0x81..=0x83 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit)), rest)
        }
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((tag, content, rest))
}

#[cfg(test)]
mod tests;
