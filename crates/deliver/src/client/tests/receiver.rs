//! A receiver on a real socket that does one thing to every request.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_rustls::TlsAcceptor;

/// What the receiver does when it has a request.
#[derive(Debug, Clone)]
pub(super) enum Act {
    /// Sends this and waits for the next request.
    Answer(String),
    /// Sends the next of these, the last one for ever.
    AnswerInTurn(Arc<Mutex<VecDeque<String>>>),
    /// Sends this when there is a permit.
    AnswerWhenAllowed(Arc<Semaphore>, String),
    /// Sends this and closes.
    AnswerAndClose(String),
    /// Sends the request back, as the body of an answer.
    Echo,
    /// Sends this, then one byte in a while, for ever.
    Trickle(String),
    /// Sends this, then as much as is taken, for ever.
    Pour(String),
    /// Breaks the connection.
    Reset,
}

pub(super) fn answer(status: &str, headers: &str, body: &str) -> Act {
    Act::Answer(text_of(status, headers, body))
}

pub(super) fn text_of(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {}\r\n\r\n{body}", body.len())
}

#[derive(Debug, Clone)]
pub(super) struct Receiver {
    pub(super) address: SocketAddr,
    seen: Arc<Mutex<Seen>>,
}

#[derive(Debug, Default)]
struct Seen {
    connections: usize,
    requests: Vec<String>,
}

impl Receiver {
    pub(super) async fn start(act: Act) -> Self {
        Self::listen(act, None).await
    }

    /// With a certificate for `crm.test` of the test root.
    pub(super) async fn start_tls(act: Act) -> Self {
        Self::listen(act, Some(acceptor(&[], false))).await
    }

    /// The same, demanding a certificate of the root of test clients.
    pub(super) async fn start_mutual(act: Act) -> Self {
        Self::listen(act, Some(acceptor(&[], true))).await
    }

    /// The same by HTTP/2, which refuses to look at so many requests and answers all others with 200.
    pub(super) async fn start_h2(refused: usize) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let (accepting, tls) = (receiver.clone(), acceptor(&[b"h2"], false));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.seen.lock().unwrap().connections += 1;
                let stream = tls.accept(stream).await.unwrap();
                tokio::spawn(accepting.clone().serve_h2(stream, refused));
            }
        });
        receiver
    }

    async fn serve_h2(
        self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        refused: usize,
    ) -> Result<(), h2::Error> {
        let mut connection = h2::server::handshake(stream).await?;
        while let Some(request) = connection.accept().await {
            let (request, mut respond) = request?;
            self.seen.lock().unwrap().requests.push(format!("{} {}", request.method(), request.uri()));
            if self.requests().len() <= refused {
                respond.send_reset(h2::Reason::REFUSED_STREAM);
                continue;
            }
            let mut body = respond.send_response(http::Response::new(()), false)?;
            body.send_data("by h2".into(), true)?;
        }
        Ok(())
    }

    async fn listen(act: Act, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let receiver = Self { address: listener.local_addr().unwrap(), seen: Arc::default() };
        let accepting = receiver.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                accepting.seen.lock().unwrap().connections += 1;
                let (serving, act, tls) = (accepting.clone(), act.clone(), tls.clone());
                tokio::spawn(async move {
                    match tls {
                        None => serving.serve_tcp(stream, act).await,
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => serving.serve(stream, act).await,
                            Err(error) => Err(error),
                        },
                    }
                });
            }
        });
        receiver
    }

    pub(super) fn connections(&self) -> usize {
        self.seen.lock().unwrap().connections
    }

    /// Every request, as it came.
    pub(super) fn requests(&self) -> Vec<String> {
        self.seen.lock().unwrap().requests.clone()
    }

    async fn serve_tcp(&self, mut stream: TcpStream, act: Act) -> std::io::Result<()> {
        if matches!(act, Act::Reset) {
            self.request(&mut stream).await?;
            return stream.set_zero_linger();
        }
        self.serve(stream, act).await
    }

    async fn serve(&self, mut stream: impl AsyncRead + AsyncWrite + Unpin, act: Act) -> std::io::Result<()> {
        loop {
            let request = self.request(&mut stream).await?;
            match &act {
                Act::Answer(text) => stream.write_all(text.as_bytes()).await?,
                Act::AnswerInTurn(texts) => {
                    let next = {
                        let mut texts = texts.lock().unwrap();
                        if texts.len() > 1 { texts.pop_front() } else { texts.front().cloned() }
                    };
                    stream.write_all(next.unwrap().as_bytes()).await?;
                }
                Act::AnswerWhenAllowed(gate, text) => {
                    gate.acquire().await.unwrap().forget();
                    stream.write_all(text.as_bytes()).await?;
                }
                Act::AnswerAndClose(text) => {
                    stream.write_all(text.as_bytes()).await?;
                    return stream.shutdown().await;
                }
                Act::Echo => {
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nx-echo: {}\r\ncontent-length: {}\r\n\r\n",
                        request.replace("\r\n", " "),
                        request.len()
                    );
                    stream.write_all(head.as_bytes()).await?;
                    stream.write_all(request.as_bytes()).await?;
                }
                Act::Trickle(text) => {
                    stream.write_all(text.as_bytes()).await?;
                    loop {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        stream.write_all(b"x").await?;
                    }
                }
                Act::Pour(text) => {
                    stream.write_all(text.as_bytes()).await?;
                    loop {
                        stream.write_all(&[b'y'; 4096]).await?;
                    }
                }
                Act::Reset => return Ok(()),
            }
        }
    }

    /// Reads one request, head and body.
    async fn request(&self, stream: &mut (impl AsyncRead + Unpin)) -> std::io::Result<String> {
        let mut bytes = Vec::new();
        let mut chunk = [0; 4096];
        loop {
            if let Some(length) = whole(&bytes) {
                let request = String::from_utf8_lossy(&bytes[..length]).into_owned();
                self.seen.lock().unwrap().requests.push(request.clone());
                return Ok(request);
            }
            let read = stream.read(&mut chunk).await?;
            if read == 0 {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            bytes.extend_from_slice(&chunk[..read]);
        }
    }
}

fn acceptor(protocols: &[&[u8]], demands_certificate: bool) -> TlsAcceptor {
    let certificate = CertificateDer::from_pem_slice(include_bytes!("tls/server.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_slice(include_bytes!("tls/server.key")).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = rustls::ServerConfig::builder_with_provider(provider.clone())
        .with_safe_default_protocol_versions()
        .unwrap();
    let builder = if demands_certificate {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(include_bytes!("tls/client-ca.pem")).unwrap()).unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let mut config = builder.with_single_cert(vec![certificate], key).unwrap();
    config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Length of the first request, once all of it is there.
fn whole(bytes: &[u8]) -> Option<usize> {
    let head = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
    let body = text.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
    let length = head + body.unwrap_or(0);
    (bytes.len() >= length).then_some(length)
}

/// An address that takes a connection and never says a word.
pub(super) async fn mute() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut held = Vec::new();
        while let Ok((stream, _)) = listener.accept().await {
            held.push(stream);
        }
    });
    address
}

/// An address whose queue of connections is full, so that a further one is never made; it stays so for as long
/// as what is returned lives.
pub(super) async fn never_connecting() -> (SocketAddr, impl Sized) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    let mut held = Vec::new();
    while let Ok(Ok(stream)) =
        tokio::time::timeout(Duration::from_millis(100), TcpStream::connect(address)).await
    {
        held.push(stream);
    }
    (address, (listener, held))
}

/// An address where nothing listens.
pub(super) async fn closed() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}
