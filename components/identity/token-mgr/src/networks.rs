//! Addresses and networks (CIDR, RFC 4632) from which a key may be used. Pure.

use nexus_sdk::prelude::*;
use std::net::IpAddr;

nexus_sdk::refusals! {
    NetworkForm = 422, "a network is an address, or an address and the length of its prefix";
    NetworkCount = 422, "a key takes at most 20 networks"
}

const NETWORKS_MAX: usize = 20;

/// # Errors
/// `NetworkForm` and `NetworkCount`.
pub fn check(networks: &[String]) -> Result<(), Refusal> {
    if networks.len() > NETWORKS_MAX {
        return Err(NetworkCount.at("networks"));
    }
    match networks.iter().position(|network| !is_network(network)) {
        Some(at) => Err(NetworkForm.at(format!("networks/{at}"))),
        None => Ok(()),
    }
}

/// Bits beside the prefix would be dropped in silence by one reader and refused by another: they
/// are refused here.
fn is_network(text: &str) -> bool {
    let Some((address, length)) = text.split_once('/') else {
        return text.parse::<IpAddr>().is_ok();
    };
    let plain = length.len() <= 3 && length.bytes().all(|b| b.is_ascii_digit());
    let (Ok(address), true) = (address.parse::<IpAddr>(), plain) else {
        return false;
    };
    let (bits, width) = match address {
        IpAddr::V4(v4) => (u128::from(v4.to_bits()) << 96, 32),
        IpAddr::V6(v6) => (v6.to_bits(), 128),
    };
    let length: u32 = length.parse().unwrap_or(u32::MAX);
    length <= width && bits.checked_shl(length).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_is_an_address_with_or_without_a_prefix() {
        for (text, fits) in [
            ("203.0.113.7", true),
            ("203.0.113.0/24", true),
            ("0.0.0.0/0", true),
            ("203.0.113.7/32", true),
            ("2001:db8::/32", true),
            ("::1", true),
            ("::1/128", true),
            ("203.0.113.7/24", false),
            ("203.0.113.0/33", false),
            ("2001:db8::/129", false),
            ("203.0.113.0/", false),
            ("203.0.113.0/+8", false),
            ("203.0.113", false),
            ("example.org", false),
            ("", false),
        ] {
            assert_eq!(is_network(text), fits, "{text:?}");
        }
    }

    #[test]
    fn the_network_that_is_wrong_is_pointed_at() {
        assert_eq!(check(&[]), Ok(()));
        let wrong = check(&["::1".into(), "x".into()]);
        assert_eq!(wrong, Err(NetworkForm.at("networks/1")));
        assert_eq!(check(&vec!["::1".into(); 21]), Err(NetworkCount.at("networks")));
    }
}
