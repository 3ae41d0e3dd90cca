//! The first frame of each side: who it is, and what it wants.

use std::net::SocketAddr;

use goodwatt_chain::codec::{self, DecodeError};
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::units::Height;
use serde::{Deserialize, Serialize};

use crate::config::Role;

/// The longest announcement, in bytes.
pub const ANNOUNCEMENT_MAX: usize = 2 * 1024;

/// What a node says about itself. The caller says it first; whoever is called answers with its own
/// when the caller is welcome, and with a goodbye when not.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(super) struct Hello {
    pub(super) protocol: u16,
    pub(super) chain: ChainId,
    light: bool,
    pub(super) software: heapless::String<32>,
    /// Where it listens, at the address it calls from; 0 for nowhere.
    port: u16,
    pub(super) tip: Height,
    /// Drawn at its start: tells a node from a copy of itself, and from itself before a restart.
    pub(super) nonce: u64,
    /// Counts the calls it made since its start.
    pub(super) call: u32,
    /// Binds its transport key to a signer key, as the caller of this module wants it.
    pub(super) announcement: Option<Vec<u8>>,
}

/// What changes from hello to hello.
#[derive(Clone, Debug)]
pub(super) struct Saying {
    pub(super) protocol: u16,
    pub(super) chain: ChainId,
    pub(super) role: Role,
    pub(super) port: u16,
    pub(super) tip: Height,
    pub(super) nonce: u64,
    pub(super) call: u32,
    pub(super) announcement: Option<Vec<u8>>,
}

impl Hello {
    pub(super) fn new(saying: Saying) -> Self {
        let Saying { protocol, chain, role, port, tip, nonce, call, announcement } = saying;
        let software = crate::version::SHORT.chars().take(32).collect();
        let light = role == Role::Light;
        Self { protocol, chain, light, software, port, tip, nonce, call, announcement }
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads one; what it says is not checked against anything yet.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let hello: Self = codec::decode(bytes)?;
        let announced = hello.announcement.as_ref().map_or(0, Vec::len);
        if announced > ANNOUNCEMENT_MAX {
            return Err(DecodeError::TooLong { len: announced, limit: ANNOUNCEMENT_MAX });
        }
        // It is shown to people.
        let graphic = hello.software.bytes().all(|byte| byte.is_ascii_graphic());
        if graphic { Ok(hello) } else { Err(DecodeError::Malformed) }
    }

    pub(super) const fn role(&self) -> Role {
        if self.light { Role::Light } else { Role::Main }
    }

    /// Where it says it listens, seen from a connection that comes from `remote`. Only the port is
    /// its word, so that nobody makes this node call at somebody else's door.
    pub(super) fn listens(&self, remote: SocketAddr) -> Option<SocketAddr> {
        (self.port != 0).then(|| SocketAddr::new(remote.ip(), self.port))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saying() -> Saying {
        Saying {
            protocol: 1,
            chain: ChainId::default(),
            role: Role::Main,
            port: 9461,
            tip: Height::new(7),
            nonce: u64::MAX,
            call: 3,
            announcement: Some(vec![1; ANNOUNCEMENT_MAX]),
        }
    }

    #[test]
    fn the_largest_hello_fits_and_reads_back() {
        let hello = Hello::new(saying());
        let bytes = hello.encode();
        assert!(bytes.len() <= super::super::kind::Kind::Hello.bytes_max(), "{}", bytes.len());
        assert_eq!(Hello::decode(&bytes), Ok(hello.clone()));
        let remote = "192.0.2.1:50000".parse().expect("an address");
        assert_eq!(hello.listens(remote), Some("192.0.2.1:9461".parse().expect("an address")));
        assert_eq!(Hello { port: 0, ..hello }.listens(remote), None);
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let refused = |hello: Hello| Hello::decode(&hello.encode()).is_err();
        let sound = Hello::new(saying());
        assert!(!refused(sound.clone()));
        let announcement = Some(vec![1; ANNOUNCEMENT_MAX + 1]);
        assert!(refused(Hello { announcement, ..sound.clone() }));
        let software = "1.0\n<0>panic".chars().collect();
        assert!(refused(Hello { software, ..sound.clone() }));
        let bytes = sound.encode();
        assert!(Hello::decode(&bytes[..bytes.len() - 1]).is_err());
        assert!(Hello::decode(&[]).is_err());
    }
}
