//! Proxies: none from the environment; a configured one gets the checked address.

use std::process::Command;

use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use super::*;

/// A SOCKS5 proxy; tells what it was asked to connect to.
async fn socks() -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let asked: Arc<Mutex<Vec<String>>> = Arc::default();
    let log = asked.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(pass_on(stream, log.clone()));
        }
    });
    (address, asked)
}

async fn pass_on(mut client: TcpStream, asked: Arc<Mutex<Vec<String>>>) -> io::Result<()> {
    let mut hello = [0; 2];
    client.read_exact(&mut hello).await?;
    client.read_exact(&mut vec![0; usize::from(hello[1])]).await?;
    client.write_all(&[5, 0]).await?;
    let mut wish = [0; 4];
    client.read_exact(&mut wish).await?;
    if wish[3] != 1 {
        asked.lock().unwrap().push(format!("an address of type {}", wish[3]));
        return Ok(());
    }
    let mut target = [0; 6];
    client.read_exact(&mut target).await?;
    let [a, b, c, d, high, low] = target;
    let target = SocketAddr::from(([a, b, c, d], u16::from_be_bytes([high, low])));
    asked.lock().unwrap().push(target.to_string());
    let mut server = TcpStream::connect(target).await?;
    client.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await?;
    copy_bidirectional(&mut client, &mut server).await.map(|_| ())
}

#[tokio::test]
async fn an_egress_proxy_gets_the_checked_address_and_never_a_name() {
    let receiver = Receiver::start(answer("200 OK", "", "")).await;
    let (proxy, asked) = socks().await;
    let client = client(Config { proxy: Some(proxy), ..open() }, here());
    let port = receiver.address.port();
    for host in ["crm.test", "127.0.0.1"] {
        let exchange = post(&client, &format!("http://{host}:{port}/in")).await;
        assert!(outcome(&exchange).is_success(), "{exchange:?}");
    }
    let address = receiver.address.to_string();
    assert_eq!(*asked.lock().unwrap(), [address.clone(), address]);
    assert!(receiver.requests()[0].contains("host: crm.test"));
}

#[tokio::test]
async fn addresses_are_checked_before_a_proxy_is_asked() {
    let (proxy, asked) = socks().await;
    let client = client(Config { proxy: Some(proxy), ..open() }, Answers::of(&[&["10.0.0.1"]]));
    for url in ["http://crm.test/in", "http://10.0.0.1/in"] {
        let exchange = post(&client, url).await;
        assert_eq!(outcome(&exchange).class.name(), "refused_address", "{exchange:?}");
    }
    assert!(asked.lock().unwrap().is_empty());
}

/// Runs the test of an accepted delivery in a process whose environment names a proxy that does not exist.
#[test]
fn proxies_of_the_environment_are_ignored() {
    let mut again = Command::new(std::env::current_exe().unwrap());
    for name in ["http_proxy", "HTTP_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"] {
        again.env(name, "http://127.0.0.1:1");
    }
    for name in ["no_proxy", "NO_PROXY", "REQUEST_METHOD"] {
        again.env_remove(name);
    }
    let test = "client::tests::an_accepted_delivery_is_a_success_with_everything_on_record";
    let output = again.args(["--exact", test]).output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}
