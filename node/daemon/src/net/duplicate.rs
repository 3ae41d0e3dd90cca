//! Which of two connections to one node is kept: both ends come to the same answer by themselves.

use std::time::Duration;

use super::identity::PeerId;
use super::link::Party;

/// Two connections that began within this time were made at once by both sides, or by one side
/// through two addresses. It is longer than a handshake may take.
const RACE: Duration = Duration::from_secs(30);

/// Whether the newer of two connections to one node takes the place of the older.
///
/// - A peer that was restarted, or that calls again long after, has lost the older one.
/// - Of two calls of one side the later counts, as its caller numbered them.
/// - Of calls of both sides that of the smaller key counts.
pub(super) fn newer_wins(us: PeerId, old: &Party, new: &Party) -> bool {
    if old.nonce != new.nonce || new.since.saturating_sub(old.since) > RACE {
        return true;
    }
    if old.outbound == new.outbound {
        return new.call > old.call;
    }
    let smaller_is_us = us < new.peer;
    new.outbound == smaller_is_us
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use goodwatt_chain::units::Height;

    use super::*;
    use crate::config::Role;

    const SMALL: PeerId = PeerId::from_bytes([1; 32]);
    const LARGE: PeerId = PeerId::from_bytes([2; 32]);

    /// A connection as the caller and as the called see it.
    fn seen(caller: PeerId, call: u32, since: u64, by: PeerId) -> Party {
        Party {
            peer: if by == SMALL { LARGE } else { SMALL },
            remote: SocketAddr::from(([127, 0, 0, 1], 1)),
            outbound: caller == by,
            call,
            nonce: 7,
            announced: 0,
            role: Role::Main,
            software: "1".into(),
            tip: Height::default(),
            listens: None,
            since: Duration::from_secs(since),
        }
    }

    /// Whichever end sees which one first, both keep the same one.
    #[test]
    fn both_ends_keep_the_same_one() {
        let check = |one: (PeerId, u32), two: (PeerId, u32), first_is_kept: bool| {
            for by in [SMALL, LARGE] {
                let see = |(caller, call), since| seen(caller, call, since, by);
                let kept_in_order = !newer_wins(by, &see(one, 1), &see(two, 2));
                let kept_in_reverse = newer_wins(by, &see(two, 1), &see(one, 2));
                assert_eq!((kept_in_order, kept_in_reverse), (first_is_kept, first_is_kept));
            }
        };
        check((SMALL, 1), (LARGE, 1), true);
        check((LARGE, 9), (SMALL, 1), false);
        check((SMALL, 1), (SMALL, 2), false);
        check((LARGE, 5), (LARGE, 2), true);
    }

    #[test]
    fn what_was_lost_does_not_stand_in_the_way() {
        let old = seen(SMALL, 1, 0, SMALL);
        assert!(!newer_wins(SMALL, &old, &seen(LARGE, 1, 30, SMALL)));
        assert!(newer_wins(SMALL, &old, &seen(LARGE, 1, 31, SMALL)), "long after");
        let restarted = Party { nonce: 8, ..seen(LARGE, 1, 1, SMALL) };
        assert!(newer_wins(SMALL, &old, &restarted));
    }
}
