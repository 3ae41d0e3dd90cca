//! Which addresses are near, which are alike, and which a stranger may tell.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};

/// How many nodes of one subnet this node calls at one time.
const OUTBOUND_PER_SUBNET: u32 = 2;

/// The network an address most likely shares with others of the same owner: /24 or /48.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Subnet {
    V4([u8; 3]),
    V6([u8; 6]),
}

impl Subnet {
    pub(super) fn of(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => {
                let [a, b, c, _] = ip.octets();
                Self::V4([a, b, c])
            }
            IpAddr::V6(ip) => {
                let [a, b, c, d, e, f, ..] = ip.octets();
                Self::V6([a, b, c, d, e, f])
            }
        }
    }
}

/// Whether only this board or its own network can reach it.
pub(super) fn is_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(ip) => ip.is_loopback() || ip.is_private() || ip.is_link_local(),
        IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

/// Whether a node at `teller` may know `told`: nobody outside can tell about a local network.
pub(super) fn is_credible(told: SocketAddr, teller: IpAddr) -> bool {
    let ip = told.ip().to_canonical();
    let broadcast = IpAddr::from([255, 255, 255, 255]);
    let exists = told.port() != 0 && !ip.is_unspecified() && !ip.is_multicast() && ip != broadcast;
    exists && (!is_local(ip) || is_local(teller))
}

/// How many nodes of each subnet are called.
#[derive(Debug)]
pub(super) struct Spread {
    taken: BTreeMap<Subnet, u32>,
    /// On a development network everything is on one board or in one room.
    local_is_free: bool,
}

impl Spread {
    pub(super) const fn new(local_is_free: bool) -> Self {
        Self { taken: BTreeMap::new(), local_is_free }
    }

    pub(super) fn take(&mut self, ip: IpAddr) {
        *self.taken.entry(Subnet::of(ip)).or_default() += 1;
    }

    pub(super) fn has_room(&self, ip: IpAddr) -> bool {
        let taken = self.taken.get(&Subnet::of(ip)).copied().unwrap_or(0);
        taken < OUTBOUND_PER_SUBNET || (self.local_is_free && is_local(ip))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().expect(text)
    }

    #[test]
    fn two_of_a_subnet_are_enough() {
        let mut spread = Spread::new(true);
        for text in ["192.0.2.1", "::ffff:192.0.2.2", "2001:db8:1::1", "10.0.0.1", "10.0.0.2"] {
            assert!(spread.has_room(ip(text)), "{text}");
            spread.take(ip(text));
        }
        assert!(!spread.has_room(ip("192.0.2.3")));
        assert!(spread.has_room(ip("192.0.3.3")));
        assert!(spread.has_room(ip("2001:db8:1:7::2")));
        spread.take(ip("2001:db8:1:7::2"));
        assert!(!spread.has_room(ip("2001:db8:1:8::3")));
        assert!(spread.has_room(ip("10.0.0.3")));
        spread.local_is_free = false;
        assert!(!spread.has_room(ip("10.0.0.3")));
    }

    #[test]
    fn strangers_cannot_tell_about_a_local_network() {
        let check = |told: &str, teller: &str, want| {
            let told_at = told.parse().expect(told);
            assert_eq!(is_credible(told_at, ip(teller)), want, "{told} by {teller}");
        };
        check("192.0.2.1:9461", "198.51.100.1", true);
        check("192.0.2.1:0", "198.51.100.1", false);
        check("192.168.1.1:22", "198.51.100.1", false);
        check("192.168.1.1:9461", "192.168.1.2", true);
        check("[::ffff:127.0.0.1]:22", "198.51.100.1", false);
        check("127.0.0.1:9461", "::1", true);
        check("0.0.0.0:9461", "127.0.0.1", false);
        check("224.0.0.1:9461", "127.0.0.1", false);
        check("[fd00::1]:9461", "2001:db8::1", false);
    }
}
