//! Which addresses a URL of the configuration may lead to.
//!
//! A receiver is on the public internet unless its network is allowed by name. Otherwise whoever sets a name server, or
//! writes a URL, would reach what only this machine can: services on loopback, the private network, the metadata service
//! of a cloud with its credentials. The address that is connected to is judged, after every resolution: a name that was
//! public a moment ago may be private now. An IPv6 address that carries an IPv4 address (mapped, compatible, NAT64) is
//! judged by that one; those of 6to4 and Teredo are refused.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

/// Networks of IPv4 that are not public: IANA's registry of special purposes, multicast, and Azure's metadata service.
const RESERVED_V4: [(Ipv4Addr, u8); 17] = [
    (Ipv4Addr::new(0, 0, 0, 0), 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(168, 63, 129, 16), 32),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 31, 196, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];
/// The networks of IPv6 that are public are all in this one,
const GLOBAL_V6: (Ipv6Addr, u8) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// which has some that are not: protocol assignments with Teredo, documentation, 6to4.
const RESERVED_V6: [(Ipv6Addr, u8); 4] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];
/// NAT64: the last 32 bits are an address of IPv4.
const NAT64: (Ipv6Addr, u8) = (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96);

/// A network, as `10.0.0.0/8` or `fd00::/8`; an address alone is a network of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    bits: u8,
}

impl Network {
    /// Whether an address is in it. Of an IPv6 address that carries an IPv4 address, that one counts, too.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.has(address) || carried(address).is_some_and(|carried| self.has(carried.into()))
    }

    fn has(&self, address: IpAddr) -> bool {
        match (self.address, address) {
            (IpAddr::V4(network), IpAddr::V4(address)) => in_v4(address, (network, self.bits)),
            (IpAddr::V6(network), IpAddr::V6(address)) => in_v6(address, (network, self.bits)),
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

impl FromStr for Network {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let expected = "expected a network such as 10.0.0.0/8 or fd00::/8";
        let (address, bits) = text.split_once('/').map_or((text, None), |(address, bits)| (address, Some(bits)));
        let address: IpAddr = address.trim().parse().map_err(|_| expected)?;
        let all = if address.is_ipv4() { 32 } else { 128 };
        let bits = bits.map_or(Ok(all), |bits| bits.trim().parse().map_err(|_| expected))?;
        if bits > all { Err(expected) } else { Ok(Self { address, bits }) }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.bits)
    }
}

/// Decides about addresses: public ones, and those of allowed networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AddressGuard {
    /// Networks that are allowed although they are not public.
    pub allowed: Vec<Network>,
}

impl AddressGuard {
    /// Whether a connection to this address may be made.
    pub fn permits(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|network| network.contains(address))
    }
}

/// Whether an address is on the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match (address, carried(address)) {
        (IpAddr::V4(address), _) | (IpAddr::V6(_), Some(address)) => {
            !RESERVED_V4.iter().any(|network| in_v4(address, *network))
        }
        (IpAddr::V6(address), None) => {
            in_v6(address, GLOBAL_V6) && !RESERVED_V6.iter().any(|network| in_v6(address, *network))
        }
    }
}

/// The IPv4 address that an IPv6 address carries.
fn carried(address: IpAddr) -> Option<Ipv4Addr> {
    let IpAddr::V6(address) = address else { return None };
    if in_v6(address, NAT64) {
        let [.., a, b, c, d] = address.octets();
        return Some(Ipv4Addr::new(a, b, c, d));
    }
    // Mapped and compatible ones; ::1 and :: come out as 0.0.0.1 and 0.0.0.0, which are not public either.
    address.to_ipv4()
}

fn in_v4(address: Ipv4Addr, (network, bits): (Ipv4Addr, u8)) -> bool {
    let mask = u32::MAX.checked_shl(32 - u32::from(bits)).unwrap_or(0);
    (address.to_bits() ^ network.to_bits()) & mask == 0
}

fn in_v6(address: Ipv6Addr, (network, bits): (Ipv6Addr, u8)) -> bool {
    let mask = u128::MAX.checked_shl(128 - u32::from(bits)).unwrap_or(0);
    (address.to_bits() ^ network.to_bits()) & mask == 0
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn every_form_of_a_private_address_is_refused() {
        for text in [
            "127.0.0.1",
            "127.8.9.1",
            "10.1.2.3",
            "172.31.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "100.100.100.200",
            "168.63.129.16",
            "0.0.0.0",
            "255.255.255.255",
            "224.0.0.1",
            "198.18.0.1",
            "192.0.0.192",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "fe80::1",
            "fc00::1",
            "fd00:ec2::254",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "3fff::1",
            "100::1",
        ] {
            assert!(!is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn public_addresses_are_not() {
        for text in [
            "8.8.8.8",
            "172.32.0.1",
            "100.63.255.255",
            "169.253.1.1",
            "2606:4700::1111",
            "2a00:1450::200e",
            "::ffff:8.8.8.8",
            "64:ff9b::808:808",
            "2001:4860:4860::8888",
        ] {
            assert!(is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn a_network_is_allowed_in_every_form_of_its_addresses() {
        let guard = AddressGuard { allowed: vec!["10.20.0.0/16".parse().unwrap(), "fd12::/16".parse().unwrap()] };
        for text in ["10.20.3.4", "::ffff:10.20.3.4", "64:ff9b::a14:304", "fd12::7", "8.8.8.8"] {
            assert!(guard.permits(address(text)), "{text}");
        }
        for text in ["10.21.3.4", "::ffff:10.21.3.4", "fd13::7", "127.0.0.1", "::1"] {
            assert!(!guard.permits(address(text)), "{text}");
        }
        let all: Network = "0.0.0.0/0".parse().unwrap();
        assert!(all.contains(address("127.0.0.1")) && !all.contains(address("fe80::1")));
    }

    #[test]
    fn networks_are_written_with_their_bits() {
        assert_eq!("127.0.0.1".parse::<Network>().unwrap().to_string(), "127.0.0.1/32");
        for wrong in ["10.0.0.0/33", "::/129", "example.org", "10.0.0/8", "", "1.2.3.4/x"] {
            assert!(wrong.parse::<Network>().is_err(), "{wrong}");
        }
    }
}
