//! A mail server inside the test: it takes every mail, and keeps it.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::TIMEOUT;

/// A running server.
pub(crate) struct Mailbox {
    address: SocketAddr,
    mails: watch::Receiver<Vec<String>>,
}

impl Mailbox {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port is free");
        let address = listener.local_addr().expect("it is bound");
        let (sender, mails) = watch::channel(Vec::new());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, sender.clone()));
            }
        });
        Self { address, mails }
    }

    /// The section of the configuration that sends all mail here.
    pub(crate) fn settings(&self) -> String {
        format!(
            "[mail]\nsmtp = \"smtp://{}\"\nstarttls = \"off\"\nfrom = \"ringpost@example.com\"\n\
             to = [\"ops@example.com\"]\n",
            self.address
        )
    }

    /// The mails, as soon as there are so many.
    pub(crate) async fn count(&self, count: usize) -> Vec<String> {
        let mut mails = self.mails.clone();
        let there = timeout(TIMEOUT, mails.wait_for(|mails| mails.len() >= count)).await;
        there.expect("waited in vain for mail").expect("the server lives").clone()
    }
}

/// RFC 5321 as far as a well-behaved client needs it.
async fn serve(stream: TcpStream, mails: watch::Sender<Vec<String>>) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 ready\r\n").await?;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        if line.starts_with("DATA") {
            stream.write_all(b"354 go on\r\n").await?;
            let mut mail = String::new();
            while !mail.ends_with("\r\n.\r\n") {
                if stream.read_line(&mut mail).await? == 0 {
                    return Ok(());
                }
            }
            mails.send_modify(|mails| mails.push(mail));
        }
        stream.write_all(b"250 ok\r\n").await?;
    }
}
