//! TLS as every request uses it: rustls, the platform's roots and the operator's own, and a certificate of ours
//! where a trigger has one. There is no switch that turns verification off.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::certificate::Certificate;
use crate::trace::TlsSessions;

/// Sessions kept for resuming; a few per receiver.
const SESSIONS: usize = 4_096;
/// The same for one certificate of ours: it is for a few receivers.
const SESSIONS_OF_ONE: usize = 64;

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// Not PEM, or no certificate in it.
    #[error("read the extra root certificates")]
    Pem(#[source] rustls::pki_types::pem::Error),
    /// PEM without a certificate.
    #[error("read the extra root certificates: there is none in the file")]
    NoCertificate,
    /// The platform's roots cannot be loaded.
    #[error("load the root certificates")]
    Roots(#[source] rustls::Error),
    /// A certificate of ours cannot be used.
    #[error("use the certificate of the trigger")]
    Certificate(#[source] rustls::Error),
}

/// The certificates of a PEM file.
///
/// # Errors
/// A file that is no PEM or holds no certificate.
pub fn roots_from_pem(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let roots: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let roots = roots.map_err(TlsError::Pem)?;
    if roots.is_empty() { Err(TlsError::NoCertificate) } else { Ok(roots) }
}

/// What all connections share. The platform's roots are read once.
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    verifier: Arc<Verifier>,
}

impl Tls {
    pub(crate) fn new(extra_roots: Vec<CertificateDer<'static>>) -> Result<Self, TlsError> {
        // Named here and not taken from the process, so that it does not matter who else installs a provider.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let verifier = Verifier::new_with_extra_roots(extra_roots, provider.clone());
        Ok(Self { provider, verifier: Arc::new(verifier.map_err(TlsError::Roots)?) })
    }

    /// For a client that shows this certificate, or none.
    pub(crate) fn config(&self, certificate: Option<Certificate>) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(self.provider.clone());
        let builder = builder
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Roots)?
            .dangerous() // rustls's word for any verifier that is not its own; this one verifies
            .with_custom_certificate_verifier(self.verifier.clone());
        let sessions = if certificate.is_some() { SESSIONS_OF_ONE } else { SESSIONS };
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(Certificate { chain, key }) => {
                builder.with_client_auth_cert(chain, key).map_err(TlsError::Certificate)?
            }
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        config.resumption = Resumption::store(Arc::new(TlsSessions::new(sessions)));
        Ok(config)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_refused_instead_of_trusting_nothing() {
        assert!(matches!(roots_from_pem(b"# empty\n"), Err(TlsError::NoCertificate)));
        let broken = b"-----BEGIN CERTIFICATE-----\n!!\n-----END CERTIFICATE-----\n";
        assert!(matches!(roots_from_pem(broken), Err(TlsError::Pem(_))));
    }
}
