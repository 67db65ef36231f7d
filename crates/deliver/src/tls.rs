//! TLS as every request uses it: rustls, the platform's roots and the operator's own. There is no switch that
//! turns verification off.

use std::sync::Arc;

use rustls::ClientConfig;
use rustls::client::Resumption;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls_platform_verifier::Verifier;

use crate::trace::TlsSessions;

/// Sessions kept for resuming; a few per receiver.
const SESSIONS: usize = 4_096;

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

pub(crate) fn client_config(extra_roots: Vec<CertificateDer<'static>>) -> Result<ClientConfig, TlsError> {
    // Named here and not taken from the process, so that it does not matter who else installs a provider.
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new_with_extra_roots(extra_roots, provider.clone()).map_err(TlsError::Roots)?;
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let mut config = builder
        .map_err(TlsError::Roots)?
        .dangerous() // rustls's word for any verifier that is not its own; this one verifies
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    config.resumption = Resumption::store(Arc::new(TlsSessions::new(SESSIONS)));
    Ok(config)
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
