//! Useful against bad: points that fade, and bans that fade with them.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::clock::Moment;
use super::identity::PeerId;

/// Points halve in this time.
const HALF_LIFE: Duration = Duration::from_secs(30 * 60);
/// From here on a node is banned, until its points have faded to [`UNBAN_BELOW`]: an hour.
const BAN_FROM: u32 = 100 * POINT;
const UNBAN_BELOW: u32 = 25 * POINT;
/// Behind one address there can be many nodes, and only some of them bad.
const ADDRESS_SHARE: u32 = 4;
/// The most points, so that the longest ban by points is some hours.
const POINTS_MAX: u32 = 1_600 * POINT;
/// One point, in the thousandths in which they fade.
const POINT: u32 = 1_000;
/// How many are remembered; the least remarkable is forgotten first.
const SUBJECTS_MAX: usize = 1_024;

/// What a peer did.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Conduct {
    /// It was the first to bring something that was needed.
    Useful,
    /// It was too slow, or did not answer.
    Late,
    /// It did not shake hands as a node does.
    Noise,
    /// It sent what nobody asked for, or what it may not send.
    Unasked,
    /// It sent more than it may.
    Flood,
    /// It sent what an honest node of this version does not send.
    Invalid,
    /// It sent a forgery: a bad signature, a false proof.
    Forged,
}

impl Conduct {
    const fn points(self) -> u32 {
        POINT
            * match self {
                Self::Useful => 1,
                Self::Late => 5,
                Self::Noise => 10,
                Self::Unasked => 20,
                Self::Flood => 40,
                Self::Invalid => 50,
                Self::Forged => 100,
            }
    }
}

/// Whom points are given to.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Subject {
    Peer(PeerId),
    Address(IpAddr),
}

#[derive(Clone, Copy, Debug, Default)]
struct Score {
    good: u32,
    bad: u32,
    at: Moment,
    banned: bool,
    /// Banned by hand until then.
    until: Option<Moment>,
}

impl Score {
    /// As it is now.
    fn faded(self, now: Moment) -> Self {
        let passed = now.saturating_sub(self.at);
        let (good, bad) = (fade(self.good, passed), fade(self.bad, passed));
        let until = self.until.filter(|until| *until > now);
        Self { good, bad, at: now, banned: self.banned && bad >= UNBAN_BELOW, until }
    }

    const fn is_banned(&self) -> bool {
        self.banned || self.until.is_some()
    }
}

/// Halves with each half-life, and falls in a straight line in between.
fn fade(points: u32, passed: Duration) -> u32 {
    let halves = passed.as_secs() / HALF_LIFE.as_secs();
    let points = u32::try_from(halves).ok().and_then(|by| points.checked_shr(by)).unwrap_or(0);
    let rest = passed.as_secs() % HALF_LIFE.as_secs();
    points - (u64::from(points / 2) * rest / HALF_LIFE.as_secs()) as u32
}

/// Everybody's points.
#[derive(Clone, Debug, Default)]
pub(super) struct Scores(BTreeMap<Subject, Score>);

impl Scores {
    /// Notes what somebody did; says whether that banned him just now.
    pub(super) fn note(&mut self, subject: Subject, conduct: Conduct, now: Moment) -> bool {
        let score = self.entry(subject, now);
        let points = conduct.points();
        if conduct == Conduct::Useful {
            score.good = (score.good + points).min(POINTS_MAX);
            return false;
        }
        score.bad = (score.bad + points).min(POINTS_MAX);
        let share = match subject {
            Subject::Peer(_) => 1,
            Subject::Address(_) => ADDRESS_SHARE,
        };
        let bans = !score.banned && score.bad >= BAN_FROM * share;
        score.banned |= bans;
        bans
    }

    /// Bans by hand.
    pub(super) fn ban(&mut self, subject: Subject, span: Duration, now: Moment) {
        self.entry(subject, now).until = Some(now.saturating_add(span));
    }

    /// Forgets everything bad; says whether there was a ban.
    pub(super) fn unban(&mut self, subject: Subject, now: Moment) -> bool {
        let was = self.is_banned(subject, now);
        self.0.remove(&subject);
        was
    }

    pub(super) fn is_banned(&self, subject: Subject, now: Moment) -> bool {
        self.0.get(&subject).is_some_and(|score| score.faded(now).is_banned())
    }

    /// Good points less bad ones.
    pub(super) fn points(&self, peer: PeerId, now: Moment) -> i32 {
        let score = self.0.get(&Subject::Peer(peer)).map(|score| score.faded(now));
        let points = |thousandths: u32| (thousandths / POINT) as i32;
        score.map_or(0, |score| points(score.good) - points(score.bad))
    }

    /// Nodes banned by hand, with what is left of it.
    pub(super) fn bans_by_hand(&self, now: Moment) -> impl Iterator<Item = (PeerId, Duration)> {
        self.0.iter().filter_map(move |(subject, score)| match (subject, score.until) {
            (Subject::Peer(peer), Some(until)) if until > now => Some((*peer, until - now)),
            _ => None,
        })
    }

    /// All nodes that are banned now.
    pub(super) fn banned(&self, now: Moment) -> impl Iterator<Item = PeerId> {
        self.0.iter().filter_map(move |(subject, score)| match subject {
            Subject::Peer(peer) if score.faded(now).is_banned() => Some(*peer),
            _ => None,
        })
    }

    fn entry(&mut self, subject: Subject, now: Moment) -> &mut Score {
        if self.0.len() >= SUBJECTS_MAX && !self.0.contains_key(&subject) {
            self.forget_one(now);
        }
        let score = self.0.entry(subject).or_default();
        *score = score.faded(now);
        score
    }

    /// Makes room; a ban by hand goes last.
    fn forget_one(&mut self, now: Moment) {
        let remarkable = |score: &Score| {
            let score = score.faded(now);
            (score.until.is_some(), score.banned, score.bad.max(score.good))
        };
        let least = self.0.iter().min_by_key(|(_, score)| remarkable(score));
        if let Some(subject) = least.map(|(subject, _)| *subject) {
            self.0.remove(&subject);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PEER: Subject = Subject::Peer(PeerId::from_bytes([1; 32]));

    const fn minutes(minutes: u64) -> Duration {
        Duration::from_secs(minutes * 60)
    }

    #[test]
    fn points_halve() {
        let check = |passed, want| assert_eq!(fade(100_000, passed), want, "{passed:?}");
        check(minutes(0), 100_000);
        check(minutes(15), 75_000);
        check(minutes(30), 50_000);
        check(minutes(60), 25_000);
        check(minutes(30 * 40), 0);
        check(Duration::MAX, 0);
    }

    #[test]
    fn a_ban_comes_at_a_threshold_and_fades() {
        let mut scores = Scores::default();
        assert!(!scores.note(PEER, Conduct::Invalid, minutes(0)));
        assert!(!scores.is_banned(PEER, minutes(0)));
        assert!(scores.note(PEER, Conduct::Invalid, minutes(0)), "a hundred points");
        assert!(!scores.note(PEER, Conduct::Late, minutes(0)), "it is banned already");
        assert!(scores.is_banned(PEER, minutes(59)));
        assert!(!scores.is_banned(PEER, minutes(64)));
        // What it did is not all forgotten: the next ban comes sooner.
        assert!(!scores.note(PEER, Conduct::Invalid, minutes(64)));
        assert!(
            scores.note(PEER, Conduct::Unasked, minutes(64))
                || !scores.is_banned(PEER, minutes(64))
        );
    }

    #[test]
    fn slow_faults_are_forgiven() {
        let mut scores = Scores::default();
        for hour in 0..1_000 {
            assert!(!scores.note(PEER, Conduct::Invalid, minutes(60 * hour)));
        }
        assert!(!scores.is_banned(PEER, minutes(60_000)));
    }

    #[test]
    fn an_address_bears_more_than_a_node() {
        let mut scores = Scores::default();
        let address = Subject::Address(IpAddr::from([192, 0, 2, 1]));
        for _ in 0..3 {
            assert!(!scores.note(address, Conduct::Forged, minutes(0)));
        }
        assert!(scores.note(address, Conduct::Forged, minutes(0)));
    }

    #[test]
    fn people_ban_and_unban() {
        let mut scores = Scores::default();
        scores.ban(PEER, minutes(10), minutes(0));
        assert!(scores.is_banned(PEER, minutes(9)) && !scores.is_banned(PEER, minutes(10)));
        assert_eq!(scores.bans_by_hand(minutes(9)).count(), 1);
        assert!(scores.unban(PEER, minutes(9)));
        assert!(!scores.is_banned(PEER, minutes(9)) && !scores.unban(PEER, minutes(9)));
        scores.ban(PEER, Duration::MAX, minutes(9));
        assert!(scores.is_banned(PEER, minutes(1_000_000)));
        assert!(!scores.note(PEER, Conduct::Useful, minutes(10)));
        assert!(scores.is_banned(PEER, minutes(10)));
    }

    #[test]
    fn memory_is_bounded_and_bans_stay() {
        let mut scores = Scores::default();
        scores.ban(PEER, minutes(10_000), minutes(0));
        for number in 0..5_000_u32 {
            let mut id = [9; 32];
            id[..4].copy_from_slice(&number.to_be_bytes());
            scores.note(Subject::Peer(PeerId::from_bytes(id)), Conduct::Late, minutes(1));
        }
        assert_eq!(scores.0.len(), SUBJECTS_MAX);
        assert!(scores.is_banned(PEER, minutes(1)));
    }
}
