//! Which addresses are refused, and that no notation of one gets past.

use proptest::prelude::*;
use url::{Host, Url};

use super::*;

fn why(address: &str) -> Option<&'static str> {
    AddressRules::default().check(address.parse().unwrap()).err().map(|refused| refused.why)
}

/// The address that the URL standard reads in a host.
fn literal(host: &str) -> IpAddr {
    match Url::parse(&format!("https://{host}/hook")).unwrap().host() {
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        other => panic!("{host} is no literal but {other:?}"),
    }
}

#[test]
fn public_receivers_are_reached() {
    let public = [
        "1.1.1.1",
        "9.255.255.255",
        "11.0.0.0",
        "100.63.255.255",
        "100.128.0.0",
        "126.255.255.255",
        "128.0.0.0",
        "172.15.255.255",
        "172.32.0.0",
        "192.0.1.0",
        "192.167.255.255",
        "192.169.0.0",
        "198.17.255.255",
        "198.20.0.0",
        "223.255.255.255",
        "2606:4700:4700::1111",
        "2a00:1450:4009::1",
        "2001:200::1",
        "2003::1",
        "3ffe::1",
        "2000::",
    ];
    for address in public {
        assert_eq!(why(address), None, "{address}");
    }
}

#[test]
fn nothing_else_is() {
    let table = [
        ("0.0.0.0", "this network"),
        ("0.255.255.255", "this network"),
        ("10.0.0.1", "private"),
        ("100.64.0.1", "carrier-grade NAT"),
        ("100.100.100.200", "carrier-grade NAT"),
        ("100.127.255.255", "carrier-grade NAT"),
        ("127.0.0.1", "loopback"),
        ("127.255.255.255", "loopback"),
        ("168.63.129.16", "platform service"),
        ("169.254.169.254", "link-local"),
        ("172.16.0.0", "private"),
        ("172.31.255.255", "private"),
        ("192.0.0.192", "reserved"),
        ("192.0.2.1", "documentation"),
        ("192.88.99.1", "6to4 relay"),
        ("192.168.1.1", "private"),
        ("198.18.0.1", "benchmarking"),
        ("198.19.255.255", "benchmarking"),
        ("198.51.100.1", "documentation"),
        ("203.0.113.1", "documentation"),
        ("224.0.0.1", "multicast"),
        ("239.255.255.255", "multicast"),
        ("240.0.0.1", "reserved"),
        ("255.255.255.255", "broadcast"),
        ("::", "unspecified"),
        ("::1", "loopback"),
        ("::7f00:1", "IPv4-compatible"),
        ("::ffff:1.1.1.1", "IPv4-mapped"),
        ("::ffff:127.0.0.1", "IPv4-mapped"),
        ("::ffff:0:127.0.0.1", "IPv4-translated"),
        ("64:ff9b::8.8.8.8", "NAT64"),
        ("64:ff9b:1::a00:1", "NAT64"),
        ("64:ff9b:2::1", "reserved"),
        ("100::1", "discard"),
        ("1fff::1", "reserved"),
        ("2001::1", "Teredo"),
        ("2001:2::1", "benchmarking"),
        ("2001:10::1", "reserved"),
        ("2001:db8::1", "documentation"),
        ("2002:7f00:1::1", "6to4"),
        ("3fff::1", "documentation"),
        ("4000::1", "reserved"),
        ("5f00::1", "reserved"),
        ("fc00::1", "unique local"),
        ("fd00:ec2::254", "unique local"),
        ("fe80::1", "link-local or site-local"),
        ("fec0::1", "link-local or site-local"),
        ("ff02::1", "multicast"),
    ];
    for (address, expected) in table {
        assert_eq!(why(address), Some(expected), "{address}");
    }
}

#[test]
fn a_literal_is_refused_in_every_notation_that_the_url_standard_reads() {
    let loopback = [
        "127.0.0.1",
        "127.1",
        "127.0.1",
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0x7F.0x0.0x0.0x1",
        "017700000001",
        "0177.0.0.1",
        "0177.0.0.01",
        "127.0.0.1.",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "[::1]",
        "[0:0:0:0:0:0:0:1]",
        "[::127.0.0.1]",
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[64:ff9b::127.0.0.1]",
        "[2002:7f00:1::]",
    ];
    for host in loopback {
        assert!(AddressRules::default().check(literal(host)).is_err(), "{host}");
    }
    for host in ["169.254.169.254", "2852039166", "0xa9fea9fe", "025177524776", "0xa9.254.0251.0376"] {
        assert_eq!(why(&literal(host).to_string()), Some("link-local"), "{host}");
    }
}

#[test]
fn the_operator_can_allow_a_network_and_no_more_than_that() {
    let rules = AddressRules::allowing(vec!["10.1.0.0/16".parse().unwrap(), "::1/128".parse().unwrap()]);
    let check = |address: &str| rules.check(address.parse().unwrap()).is_ok();
    assert!(check("10.1.2.3") && check("::1") && check("1.1.1.1"));
    assert!(!check("10.2.0.1") && !check("127.0.0.1") && !check("::ffff:10.1.2.3"));
}

#[test]
fn one_bad_address_among_good_ones_spoils_the_answer() {
    let answer: Vec<IpAddr> = ["1.1.1.1", "10.0.0.1", "9.9.9.9"].map(|text| text.parse().unwrap()).to_vec();
    let refused = AddressRules::default().check_all(&answer).unwrap_err();
    assert_eq!(refused.to_string(), "address 10.0.0.1 is refused: private");
    assert!(AddressRules::default().check_all(&answer[..1]).is_ok());
}

proptest! {
    /// The tables against the standard library's own reading of the registry, where it has one.
    #[test]
    fn no_address_passes_that_std_calls_special(bits: u32) {
        let address = Ipv4Addr::from(bits);
        let special = address.is_private() || address.is_loopback() || address.is_link_local()
            || address.is_broadcast() || address.is_documentation() || address.is_multicast()
            || address.is_unspecified();
        prop_assert!(!special || not_public_v4(address).is_some());
    }

    #[test]
    fn no_wrapped_address_passes(bits: u32, tail: u16) {
        let [a, b, c, d] = Ipv4Addr::from(bits).octets();
        let (high, low) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        for wrapped in [
            Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, high, low),
            Ipv6Addr::new(0, 0, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
            Ipv6Addr::new(0x64, 0xff9b, 1, tail, 0, 0, high, low),
            Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, tail),
            Ipv6Addr::new(0x2001, 0, 0, 0, 0, tail, !high, !low),
        ] {
            prop_assert!(not_public_v6(wrapped).is_some(), "{}", wrapped);
        }
    }
}
