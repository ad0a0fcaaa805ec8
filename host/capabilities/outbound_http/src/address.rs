//! Which addresses belong to the public internet. Refuses to know who may reach the others: a
//! grant says that.
//! Source: IANA IPv4 and IPv6 Special-Purpose Address Registries (RFC 6890 and its updates).

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// IPv4 blocks that are not the public internet.
const SPECIAL_V4: [Ipv4Net; 16] = [
    v4([0, 0, 0, 0], 8),        // "this network"; 0.0.0.0 reaches the host itself
    v4([10, 0, 0, 0], 8),       // private (RFC 1918)
    v4([100, 64, 0, 0], 10),    // carrier-grade NAT (RFC 6598)
    v4([127, 0, 0, 0], 8),      // loopback
    v4([169, 254, 0, 0], 16),   // link-local; 169.254.169.254 hands out cloud credentials
    v4([172, 16, 0, 0], 12),    // private
    v4([192, 0, 0, 0], 24),     // protocol assignments
    v4([192, 0, 2, 0], 24),     // documentation
    v4([192, 88, 99, 0], 24),   // 6to4 relays
    v4([192, 168, 0, 0], 16),   // private
    v4([198, 18, 0, 0], 15),    // benchmarking
    v4([198, 51, 100, 0], 24),  // documentation
    v4([203, 0, 113, 0], 24),   // documentation
    v4([224, 0, 0, 0], 4),      // multicast
    v4([240, 0, 0, 0], 4),      // reserved, and the broadcast address
    v4([168, 63, 129, 16], 32), // public, yet the metadata server of Azure
];

/// The one IPv6 block in which public unicast addresses lie (RFC 4291 §2.4). Outside it: loopback,
/// unspecified, IPv4-mapped and -compatible, NAT64 (`64:ff9b::/96`), unique-local, link-local,
/// site-local and multicast addresses.
const GLOBAL_V6: Ipv6Net = v6([0x2000, 0], 3);

/// Parts of [`GLOBAL_V6`] that are not the public internet, or that hide an IPv4 address.
const SPECIAL_V6: [Ipv6Net; 4] = [
    v6([0x2001, 0], 23),     // protocol assignments: Teredo, benchmarking, ORCHID
    v6([0x2001, 0xdb8], 32), // documentation
    v6([0x2002, 0], 16),     // 6to4: any IPv4 address in disguise
    v6([0x3fff, 0], 20),     // documentation
];

const fn v4(address: [u8; 4], prefix: u8) -> Ipv4Net {
    let [a, b, c, d] = address;
    Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, d), prefix)
}

const fn v6(head: [u16; 2], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::new(head[0], head[1], 0, 0, 0, 0, 0, 0), prefix)
}

/// Whether anybody on the internet could reach this address: what a grant by name stands for.
pub(crate) fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => !SPECIAL_V4.iter().any(|net| net.contains(&address)),
        IpAddr::V6(address) => {
            // An interface identifier of ISATAP (RFC 5214) carries an IPv4 address too.
            let [_, _, _, _, marker, signature, ..] = address.segments();
            let isatap = signature == 0x5efe && matches!(marker, 0 | 0x200);
            GLOBAL_V6.contains(&address)
                && !isatap
                && !SPECIAL_V6.iter().any(|net| net.contains(&address))
        }
    }
}

/// Whether a granted network means a private place on purpose: all of it lies in one special
/// block. `0.0.0.0/0` is `*` in another spelling and means no place at all.
pub(crate) fn is_deliberate(network: &IpNet) -> bool {
    match network {
        IpNet::V4(network) => SPECIAL_V4.iter().any(|block| block.contains(network)),
        IpNet::V6(network) => {
            let outside = !network.contains(&GLOBAL_V6) && !GLOBAL_V6.contains(network);
            outside || SPECIAL_V6.iter().any(|block| block.contains(network))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_that_are_not_the_public_internet_are_told_apart() {
        for special in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.0.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.9",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            "168.63.129.16",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::ffff:8.8.8.8",
            "::127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::a00:1",
            "100::1",
            "2001::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::",
            "3fff::1",
            "5f00::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2600::5efe:7f00:1",
            "2600::200:5efe:a00:1",
        ] {
            assert!(!is_public(special.parse().expect(special)), "{special}");
        }
        for public in [
            "1.1.1.1",
            "8.8.8.8",
            "100.63.255.255",
            "100.128.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "169.253.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2001:4860:4860::8888",
            "2606:4700:4700::1111",
            "2a00:1450:4001::1",
            "2001:200::1",
        ] {
            assert!(is_public(public.parse().expect(public)), "{public}");
        }
    }

    #[test]
    fn a_network_counts_only_when_it_lies_in_one_private_block() {
        for deliberate in [
            "10.0.0.0/8",
            "10.1.0.0/16",
            "127.0.0.1/32",
            "169.254.169.254/32",
            "fd00::/8",
            "::1/128",
            "fe80::/10",
            "2001:db8::/48",
            "::ffff:0:0/96",
        ] {
            assert!(is_deliberate(&deliberate.parse().expect(deliberate)), "{deliberate}");
        }
        for wide in [
            "0.0.0.0/0",
            "0.0.0.0/1",
            "128.0.0.0/1",
            "10.0.0.0/7",
            "8.8.8.0/24",
            "::/0",
            "2000::/3",
            "2001::/16",
            "::/1",
            "2600::/32",
        ] {
            assert!(!is_deliberate(&wide.parse().expect(wide)), "{wide}");
        }
    }
}
