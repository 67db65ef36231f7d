//! Which addresses may be connected to. Pure: it says yes or no to an address, and does not resolve names.
//!
//! A receiver stands on the public internet. Everything else (this machine, its networks, the metadata
//! service of a cloud, an address wrapped into another) is refused unless the operator allows its network.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Why an address is not connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("address {address} is refused: {why}")]
pub struct RefusedAddress {
    /// The address.
    pub address: IpAddr,
    /// Which kind of address it is.
    pub why: &'static str,
}

/// The operator's rules: public unicast addresses, and the networks allowed beside them.
#[derive(Debug, Clone, Default)]
pub struct AddressRules {
    allowed: Vec<IpNet>,
}

impl AddressRules {
    /// Public unicast addresses and these networks. A mapped or translated address is of an allowed network
    /// only if the IPv6 network is named as such: `10.0.0.0/8` does not allow `::ffff:10.0.0.1`.
    pub fn allowing(allowed: Vec<IpNet>) -> Self {
        Self { allowed }
    }

    /// Whether `address` may be connected to.
    ///
    /// # Errors
    /// With the kind of address, when it is neither public nor allowed.
    pub fn check(&self, address: IpAddr) -> Result<(), RefusedAddress> {
        let allowed = self.allowed.iter().any(|network| network.contains(&address));
        match not_public(address) {
            Some(why) if !allowed => Err(RefusedAddress { address, why }),
            _ => Ok(()),
        }
    }

    /// Whether all may be connected to: one bad address among good ones spoils the answer, because whoever
    /// controls the name may have put it there.
    ///
    /// # Errors
    /// The first that may not.
    pub fn check_all(&self, addresses: &[IpAddr]) -> Result<(), RefusedAddress> {
        addresses.iter().try_for_each(|address| self.check(*address))
    }
}

/// Which kind of address it is when it is not public unicast.
fn not_public(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => not_public_v4(address),
        IpAddr::V6(address) => not_public_v6(address),
    }
}

fn not_public_v4(address: Ipv4Addr) -> Option<&'static str> {
    V4.iter().find(|(network, _)| network.contains(&address)).map(|(_, why)| *why)
}

fn not_public_v6(address: Ipv6Addr) -> Option<&'static str> {
    let special = V6.iter().find(|(network, _)| network.contains(&address)).map(|(_, why)| *why);
    // Outside 2000::/3 nothing is assigned for public unicast, so what is not listed is reserved.
    special.or_else(|| (!GLOBAL_V6.contains(&address)).then_some("reserved"))
}

/// IANA's registry of special-purpose IPv4 addresses, and one platform address that is public in form only.
const V4: [(Ipv4Net, &str); 17] = [
    (v4(0, 0, 0, 0, 8), "this network"),
    (v4(10, 0, 0, 0, 8), "private"),
    (v4(100, 64, 0, 0, 10), "carrier-grade NAT"),
    (v4(127, 0, 0, 0, 8), "loopback"),
    (v4(168, 63, 129, 16, 32), "platform service"),
    (v4(169, 254, 0, 0, 16), "link-local"),
    (v4(172, 16, 0, 0, 12), "private"),
    (v4(192, 0, 0, 0, 24), "reserved"),
    (v4(192, 0, 2, 0, 24), "documentation"),
    (v4(192, 88, 99, 0, 24), "6to4 relay"),
    (v4(192, 168, 0, 0, 16), "private"),
    (v4(198, 18, 0, 0, 15), "benchmarking"),
    (v4(198, 51, 100, 0, 24), "documentation"),
    (v4(203, 0, 113, 0, 24), "documentation"),
    (v4(224, 0, 0, 0, 4), "multicast"),
    (v4(255, 255, 255, 255, 32), "broadcast"),
    (v4(240, 0, 0, 0, 4), "reserved"),
];

/// The whole of IPv6 that is assigned for public unicast.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0, 0, 0], 3);

/// The special ones, inside `2000::/3` and outside it; the longer prefix first where two overlap.
const V6: [(Ipv6Net, &str); 17] = [
    (Ipv6Net::new_assert(Ipv6Addr::LOCALHOST, 128), "loopback"),
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 128), "unspecified"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96), "IPv4-mapped"),
    (Ipv6Net::new_assert(Ipv6Addr::new(0, 0, 0, 0, 0xffff, 0, 0, 0), 96), "IPv4-translated"),
    (Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 96), "IPv4-compatible"),
    (v6([0x64, 0xff9b, 0, 0], 96), "NAT64"),
    (v6([0x64, 0xff9b, 1, 0], 48), "NAT64"),
    (v6([0x100, 0, 0, 0], 64), "discard"),
    (v6([0x2001, 0, 0, 0], 32), "Teredo"),
    (v6([0x2001, 2, 0, 0], 48), "benchmarking"),
    (v6([0x2001, 0, 0, 0], 23), "reserved"),
    (v6([0x2001, 0xdb8, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0], 20), "documentation"),
    (v6([0xfc00, 0, 0, 0], 7), "unique local"),
    (v6([0xfe80, 0, 0, 0], 9), "link-local or site-local"),
    (v6([0xff00, 0, 0, 0], 8), "multicast"),
];

const fn v4(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(high: [u16; 4], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(high[0], high[1], high[2], high[3], 0, 0, 0, 0), prefix)
}

#[cfg(test)]
mod tests;
