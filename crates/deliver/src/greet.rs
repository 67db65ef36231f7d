//! Looks at a receiver's TLS without sending anything: for who asks whether it could be reached.

use std::net::SocketAddr;
use std::sync::Arc;

use ringpost_model::Timestamp;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::certificate;
use crate::tls::{Tls, TlsError};

/// Why TLS was not agreed on.
#[derive(Debug, thiserror::Error)]
pub enum GreetError {
    /// Our side of TLS cannot be set up.
    #[error("set up TLS")]
    Tls(#[source] TlsError),
    /// No name and no address.
    #[error("the host is no name")]
    Name,
    /// It cannot be reached, or its certificate is not trusted.
    #[error("agree on TLS")]
    Handshake(#[source] std::io::Error),
}

/// Connects to an address that was checked, and agrees on TLS with `host` as every request does. Says when its
/// certificate ends, where that can be read. Who calls sets the deadline.
///
/// # Errors
/// See [`GreetError`].
pub async fn greet(
    host: &str,
    address: SocketAddr,
    extra_roots: Vec<CertificateDer<'static>>,
) -> Result<Option<Timestamp>, GreetError> {
    let config = Tls::new(extra_roots).and_then(|tls| tls.config(None)).map_err(GreetError::Tls)?;
    let name = ServerName::try_from(host.to_owned()).map_err(|_| GreetError::Name)?;
    let stream = TcpStream::connect(address).await.map_err(GreetError::Handshake)?;
    let connector = TlsConnector::from(Arc::new(config));
    let stream = connector.connect(name, stream).await.map_err(GreetError::Handshake)?;
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    Ok(chain.first().and_then(|first| certificate::ends(first)))
}
