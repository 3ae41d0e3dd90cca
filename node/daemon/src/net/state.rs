//! All that changes while the network runs, under one lock that is never held across a wait.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use goodwatt_chain::codec;
use goodwatt_chain::units::Height;
use serde::{Deserialize, Serialize};

use super::address::{Spread, Subnet, is_local};
use super::book::{Book, Plan, RECORDS_MAX, Record, Saved};
use super::clock::Moment;
use super::duplicate::newer_wins;
use super::identity::PeerId;
use super::link::{Link, Party};
use super::outgoing::Frame;
use super::reason::Reason;
use super::score::{Conduct, Scores, Subject};
use super::settings::NetworkSettings;
use crate::config::Role;

/// Calls in progress at one time.
const CALLS_MAX: usize = 4;
/// Callers in the middle of a handshake at one time, and how many of those from one subnet.
const HANDSHAKES_MAX: u32 = 16;
const HANDSHAKES_PER_SUBNET: u32 = 4;
/// Addresses that wait to be tried out.
const PROBES_MAX: usize = 32;
/// New addresses passed on between two ticks.
const NEWS_MAX: u32 = 16;
/// Complaints about strangers in the log between two ticks.
const COMPLAINTS_MAX: u32 = 10;
/// Bans by hand that are saved.
const BANS_MAX: usize = 256;
/// The first byte of the saved file.
const SAVED_FORMAT: u8 = 1;

/// See the module.
#[derive(Debug)]
pub(super) struct State {
    pub(super) links: BTreeMap<PeerId, Arc<Link>>,
    pub(super) book: Book,
    pub(super) scores: Scores,
    pub(super) tip: Height,
    pub(super) announcement: Option<Vec<u8>>,
    /// How often that changed.
    pub(super) announced: u64,
    /// Calls that did not come to an end yet.
    pub(super) calling: usize,
    /// Addresses that nodes say they listen on, to be tried out before they are told on.
    pub(super) probes: VecDeque<Record>,
    pub(super) probing: bool,
    pub(super) stopping: bool,
    /// When peers were saved last.
    pub(super) saved_at: Moment,
    us: PeerId,
    handshakes: BTreeMap<Subnet, u32>,
    calls_made: u32,
    news_left: u32,
    complaints_left: u32,
    lot: u64,
}

/// What the saved file holds.
#[derive(Debug, Deserialize, Serialize)]
struct SavedFile {
    format: u8,
    addresses: Vec<Saved>,
    /// Nodes banned by hand, with the seconds that are left.
    bans: Vec<(PeerId, u64)>,
}

impl State {
    pub(super) fn new(us: PeerId, settings: &NetworkSettings, seed: u64, now: Moment) -> Self {
        let mut book = Book::default();
        for address in &settings.peers {
            // Its limit is above that of the config file.
            book.add(address.into());
        }
        Self {
            links: BTreeMap::new(),
            book,
            scores: Scores::default(),
            tip: settings.tip,
            announcement: settings.announcement.clone(),
            announced: 0,
            calling: 0,
            probes: VecDeque::new(),
            probing: false,
            stopping: false,
            saved_at: now,
            us,
            handshakes: BTreeMap::new(),
            calls_made: 0,
            news_left: NEWS_MAX,
            complaints_left: COMPLAINTS_MAX,
            // A zero would stay one for ever.
            lot: seed | 1,
        }
    }

    /// The next random number, for shuffling and jitter (xorshift64).
    pub(super) fn draw(&mut self) -> u64 {
        self.lot ^= self.lot << 13;
        self.lot ^= self.lot >> 7;
        self.lot ^= self.lot << 17;
        self.lot
    }

    /// The number of the next call.
    pub(super) fn next_call(&mut self) -> u32 {
        self.calls_made = self.calls_made.wrapping_add(1);
        self.calls_made
    }

    /// Takes up a connection, or says why not. `Ok(Some)` is the one whose place it takes.
    pub(super) fn admit(
        &mut self,
        link: &Arc<Link>,
        settings: &NetworkSettings,
        now: Moment,
    ) -> Result<Option<Arc<Link>>, Reason> {
        let party = &link.party;
        if self.stopping {
            return Err(Reason::Stopping);
        }
        if self.scores.is_banned(Subject::Peer(party.peer), now) {
            return Err(Reason::Banned);
        }
        if let Some(old) = self.links.get(&party.peer) {
            if !newer_wins(self.us, &old.party, party) {
                return Err(Reason::Duplicate);
            }
        } else if !party.outbound && !self.has_place(party, settings) {
            return Err(Reason::Full);
        }
        let old = self.links.insert(party.peer, Arc::clone(link));
        if let Some(old) = &old {
            old.close(Reason::Duplicate);
        }
        Ok(old)
    }

    /// Whether one more may call; a light node only while enough places are left for main ones.
    fn has_place(&self, party: &Party, settings: &NetworkSettings) -> bool {
        let kept_free = if party.role == Role::Light { settings.inbound.div_ceil(4) } else { 0 };
        let callers = self.links.values().filter(|link| !link.party.outbound).count();
        callers + kept_free < settings.inbound
    }

    /// A connection is over.
    pub(super) fn release(&mut self, link: &Arc<Link>) {
        let is_it = |current: &Arc<Link>| Arc::ptr_eq(current, link);
        if self.links.get(&link.party.peer).is_some_and(is_it) {
            self.links.remove(&link.party.peer);
        }
    }

    /// Notes what somebody did, for the node and, where that means anything, for its address. A
    /// node that is banned by it is disconnected; says whether it was.
    pub(super) fn note(
        &mut self,
        peer: Option<PeerId>,
        ip: Option<IpAddr>,
        conduct: Conduct,
        settings: &NetworkSettings,
        now: Moment,
    ) -> bool {
        if let Some(ip) = ip.filter(|ip| !(settings.development && is_local(*ip))) {
            self.scores.note(Subject::Address(ip), conduct, now);
        }
        let Some(peer) = peer else { return false };
        let bans = self.scores.note(Subject::Peer(peer), conduct, now);
        if let Some(link) = self.links.get(&peer).filter(|_| bans) {
            link.close(Reason::Banned);
        }
        bans
    }

    /// Whether a caller from there may shake hands now; if so it counts until
    /// [`Self::end_handshake`].
    pub(super) fn begin_handshake(
        &mut self,
        remote: SocketAddr,
        development: bool,
        now: Moment,
    ) -> bool {
        let ip = remote.ip();
        let pending: u32 = self.handshakes.values().sum();
        let free = development && is_local(ip);
        let of_subnet = self.handshakes.get(&Subnet::of(ip)).copied().unwrap_or(0);
        let welcome = pending < HANDSHAKES_MAX
            && (free || of_subnet < HANDSHAKES_PER_SUBNET)
            && !self.scores.is_banned(Subject::Address(ip), now);
        if welcome {
            *self.handshakes.entry(Subnet::of(ip)).or_default() += 1;
        }
        welcome
    }

    pub(super) fn end_handshake(&mut self, remote: SocketAddr) {
        let subnet = Subnet::of(remote.ip());
        match self.handshakes.get_mut(&subnet) {
            Some(count) if *count > 1 => *count -= 1,
            _ => drop(self.handshakes.remove(&subnet)),
        }
    }

    /// Whom to call now.
    pub(super) fn plan(&mut self, settings: &NetworkSettings, now: Moment) -> Plan {
        if self.stopping {
            return Plan::default();
        }
        let mut spread = Spread::new(settings.development);
        let called = self.links.values().filter(|link| link.party.outbound);
        let mut outbound = 0;
        for link in called {
            outbound += 1;
            spread.take(link.party.remote.ip());
        }
        let missing = settings.outbound.saturating_sub(outbound + self.calling);
        let want = missing.min(CALLS_MAX.saturating_sub(self.calling));
        let lot = self.draw();
        let (links, scores) = (&self.links, &self.scores);
        let is_taken =
            |peer: &PeerId| links.contains_key(peer) || scores.is_banned(Subject::Peer(*peer), now);
        let plan = self.book.plan(now, want, is_taken, &mut spread, lot);
        self.calling += plan.targets.len();
        plan
    }

    /// Whether this node calls fewer than it wants to.
    pub(super) fn is_lonely(&self, settings: &NetworkSettings) -> bool {
        self.links.values().filter(|link| link.party.outbound).count() < settings.outbound
    }

    /// Puts the address of a caller on the list of those to try out, if it is not known to work.
    pub(super) fn ask_for_probe(&mut self, party: &Party, now: Moment) {
        let Some(address) = party.listens.filter(|_| !party.outbound) else { return };
        let record = Record { peer: party.peer, address };
        let known = self.book.is_proven(record, now) || self.probes.contains(&record);
        if !known && self.probes.len() < PROBES_MAX {
            self.probes.push_back(record);
        }
    }

    /// Tells a frame with a new address to all but its owner, if that is not done too often.
    pub(super) fn spread_news(&mut self, owner: PeerId, frame: &Arc<Frame>) {
        if self.news_left == 0 {
            return;
        }
        self.news_left -= 1;
        for (_, link) in self.links.iter().filter(|(peer, _)| **peer != owner) {
            link.enqueue(Arc::clone(frame));
        }
    }

    /// Whether there may be one more complaint about a stranger in the log.
    pub(super) fn may_complain(&mut self) -> bool {
        let may = self.complaints_left > 0;
        self.complaints_left = self.complaints_left.saturating_sub(1);
        may
    }

    /// A tick: what is counted between two of them begins anew.
    pub(super) fn renew(&mut self) {
        (self.news_left, self.complaints_left) = (NEWS_MAX, COMPLAINTS_MAX);
    }

    /// The content of the saved file.
    pub(super) fn save(&self, now: Moment) -> Vec<u8> {
        let seconds = |(peer, left): (PeerId, Duration)| (peer, left.as_secs());
        let bans = self.scores.bans_by_hand(now).take(BANS_MAX).map(seconds).collect();
        codec::encode(&SavedFile { format: SAVED_FORMAT, addresses: self.book.saved(now), bans })
    }

    /// Takes up a saved file; says whether it could be read.
    pub(super) fn restore(&mut self, content: &[u8], now: Moment) -> bool {
        let Ok(saved) = codec::decode::<SavedFile>(content) else { return false };
        if saved.format != SAVED_FORMAT {
            return false;
        }
        self.book.restore(&saved.addresses, now);
        for (peer, left) in saved.bans.into_iter().take(BANS_MAX) {
            self.scores.ban(Subject::Peer(peer), Duration::from_secs(left), now);
        }
        true
    }
}

/// Addresses as a frame carries them.
pub(super) fn encode_records(records: &[Record]) -> Vec<u8> {
    codec::encode(records)
}

/// Addresses out of a frame; `None` where it holds something else, or too many.
pub(super) fn decode_records(payload: &[u8]) -> Option<Vec<Record>> {
    let records: Vec<Record> = codec::decode(payload).ok()?;
    (records.len() <= RECORDS_MAX).then_some(records)
}

#[cfg(test)]
mod tests {
    use goodwatt_chain::hash::ChainId;

    use super::*;
    use crate::net::kind::Kind;

    const US: PeerId = PeerId::from_bytes([5; 32]);
    const NOW: Moment = Duration::from_secs(1_000_000);

    fn settings() -> NetworkSettings {
        let mut settings = NetworkSettings::new("/nowhere".into(), ChainId::default());
        settings.inbound = 8;
        settings
    }

    fn state() -> State {
        State::new(US, &settings(), 7, NOW)
    }

    fn caller(number: u8, role: Role) -> Arc<Link> {
        Link::new(Party {
            peer: PeerId::from_bytes([number; 32]),
            remote: SocketAddr::from(([192, 0, number, 1], 50_000)),
            outbound: false,
            call: 1,
            nonce: 1,
            announced: 0,
            role,
            software: "1".into(),
            tip: Height::default(),
            listens: Some(SocketAddr::from(([192, 0, number, 1], 9461))),
            since: NOW,
        })
    }

    #[test]
    fn light_nodes_leave_places_for_main_ones() {
        let mut state = state();
        let mut admit = |number, role| state.admit(&caller(number, role), &settings(), NOW);
        for number in 10..16 {
            assert!(matches!(admit(number, Role::Light), Ok(None)), "{number}");
        }
        assert!(matches!(admit(16, Role::Light), Err(Reason::Full)));
        assert!(matches!(admit(17, Role::Main), Ok(None)));
        assert!(matches!(admit(18, Role::Main), Ok(None)));
        assert!(matches!(admit(19, Role::Main), Err(Reason::Full)));
        // Who is connected already may come anew.
        assert!(matches!(admit(18, Role::Main), Err(Reason::Duplicate)));
    }

    #[test]
    fn a_restarted_node_takes_its_old_place() {
        let mut state = state();
        let old = caller(9, Role::Main);
        assert!(matches!(state.admit(&old, &settings(), NOW), Ok(None)));
        let new = Link::new(Party { nonce: 2, ..old.party.clone() });
        let displaced = state.admit(&new, &settings(), NOW).expect("it is restarted");
        assert!(displaced.is_some_and(|link| Arc::ptr_eq(&link, &old)));
        state.release(&old);
        assert_eq!(state.links.len(), 1, "the old one does not take the new one with it");
        state.release(&new);
        assert!(state.links.is_empty());
    }

    #[test]
    fn a_ban_closes_and_keeps_out() {
        let mut state = state();
        let link = caller(9, Role::Main);
        assert!(matches!(state.admit(&link, &settings(), NOW), Ok(None)));
        let peer = Some(link.party.peer);
        assert!(state.note(peer, None, Conduct::Forged, &settings(), NOW));
        let hour = Duration::from_secs(3_600);
        state.release(&link);
        let mut admit = |at| state.admit(&caller(9, Role::Main), &settings(), at);
        assert!(matches!(admit(NOW), Err(Reason::Banned)));
        assert!(matches!(admit(NOW + 2 * hour), Ok(None)));
    }

    #[test]
    fn handshakes_are_bounded_by_number_and_subnet() {
        let mut state = state();
        let mut begin =
            |a, b| state.begin_handshake(SocketAddr::from(([192, 0, a, b], 1)), false, NOW);
        let of_one = (0..10).filter(|host| begin(1, *host)).count();
        assert_eq!(of_one, 4);
        let in_all = (2..100).filter(|net| begin(*net, 1)).count();
        assert_eq!(in_all, 12);
        for _ in 0..4 {
            state.end_handshake(SocketAddr::from(([192, 0, 1, 1], 1)));
        }
        assert!(state.begin_handshake(SocketAddr::from(([192, 0, 1, 7], 1)), false, NOW));
    }

    #[test]
    fn an_address_is_banned_but_not_on_a_development_network() {
        let check = |ip: [u8; 4], development, open| {
            let mut state = state();
            let settings = NetworkSettings { development, ..settings() };
            for _ in 0..40 {
                state.note(None, Some(ip.into()), Conduct::Noise, &settings, NOW);
            }
            let remote = SocketAddr::from((ip, 1));
            assert_eq!(state.begin_handshake(remote, development, NOW), open, "{ip:?}");
        };
        check([192, 0, 2, 1], true, false);
        check([127, 0, 0, 1], false, false);
        check([127, 0, 0, 1], true, true);
    }

    #[test]
    fn the_saved_file_holds_addresses_and_bans() {
        let mut state = state();
        let record = Record {
            peer: PeerId::from_bytes([9; 32]),
            address: "[2001:db8::1]:9461".parse().expect("an address"),
        };
        state.book.worked(record, NOW);
        let banned = PeerId::from_bytes([3; 32]);
        state.scores.ban(Subject::Peer(banned), Duration::from_secs(500), NOW);
        let content = state.save(NOW + Duration::from_secs(100));
        let mut again = State::new(US, &settings(), 7, NOW);
        assert!(again.restore(&content, NOW));
        assert_eq!(again.book.saved(NOW)[0].record, record);
        let is_banned = |at| again.scores.is_banned(Subject::Peer(banned), NOW + at);
        assert!(is_banned(Duration::from_secs(399)) && !is_banned(Duration::from_secs(400)));
        assert!(!again.restore(&content[1..], NOW));
        assert!(!again.restore(&[], NOW));
    }

    #[test]
    fn the_most_addresses_fit_into_a_frame() {
        let address: SocketAddr =
            "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff]:65535".parse().expect("it");
        let record = Record { peer: PeerId::from_bytes([255; 32]), address };
        let bytes = encode_records(&[record; RECORDS_MAX]);
        assert!(bytes.len() <= Kind::Peers.bytes_max(), "{}", bytes.len());
        assert_eq!(decode_records(&bytes), Some(vec![record; RECORDS_MAX]));
        assert_eq!(decode_records(&encode_records(&[record; RECORDS_MAX + 1])), None);
        assert_eq!(decode_records(&bytes[1..]), None);
    }
}
