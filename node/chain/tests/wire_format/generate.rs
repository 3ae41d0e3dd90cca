//! Values of every type from a seed: the same on every machine.

use goodwatt_chain::block::{Block, Certificate, CommitSignature, Header, RawTransaction};
use goodwatt_chain::genesis::{
    EcoStatement, EcoWay, Founder, Genesis, Parameters, Rule, SealingRule,
};
use goodwatt_chain::hash::{AssociationId, BlockId, ChainId, Digest32, TxId};
use goodwatt_chain::proof::DecidedHeader;
use goodwatt_chain::signature::{PublicKey, Signature};
use goodwatt_chain::state::{
    Account, Attendance, Ballot, Bid, Bids, Bounded, Elector, Registry, Reported, Roster, Schedule,
    Seat, Stake, Standing, Status, Term, Tombstone, Totals, Unlocking,
};
use goodwatt_chain::transaction::{
    Action, BallotKind, BuySlot, Category, CertificateProof, Delegate, EnergyMethod, IdentityProof,
    RenewAssociation, ReportEnergy, RequestAssociation, SignatureScheme, Transfer, VoteAssociation,
    WithdrawRequest,
};
use goodwatt_chain::units::{Epoch, Grains, Height, Round, UnixMillis};
use goodwatt_chain::validators::{VALIDATORS_MAX, Validator, ValidatorSet};
use goodwatt_chain::vote::{Evidence, Proposal, SignedProposal, SignedVote, Vote, VoteKind};
use goodwatt_units::{MicroJoules, MicroWatts, Millis};

/// `SplitMix64`: small, known, and good enough to reach every branch of an encoding.
#[derive(Clone, Debug)]
pub(crate) struct Source(u64);

impl Source {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, which is small.
    pub(crate) const fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A number of any count of bits, so that integers of every encoded length come up.
    fn sized(&mut self) -> u64 {
        let bits = self.below(64);
        self.next() >> bits
    }

    /// How many items of at most `most`: few as a rule, now and then all.
    fn count(&mut self, most: usize) -> usize {
        match self.below(64) {
            0 => most,
            few => (few as usize % 4).min(most),
        }
    }
}

/// A type of which values can be made.
pub(crate) trait Make {
    fn make(source: &mut Source) -> Self;
}

/// A value of whatever type is wanted.
pub(crate) fn make<T: Make>(source: &mut Source) -> T {
    T::make(source)
}

/// Makes values by an expression over the source.
macro_rules! made_by {
    ($($type:ty: |$source:ident| $value:expr;)*) => {$(
        impl Make for $type {
            fn make($source: &mut Source) -> Self {
                $value
            }
        }
    )*};
}

/// Makes structs field by field, in the order given.
macro_rules! made_of {
    ($($type:ident { $($field:ident),* })*) => {$(
        impl Make for $type {
            fn make(source: &mut Source) -> Self {
                $(let $field = make(source);)*
                Self { $($field),* }
            }
        }
    )*};
}

/// Makes enums: draws one of the values given.
macro_rules! one_of {
    ($($type:ident: |$source:ident| [$first:expr $(, $more:expr)* $(,)?];)*) => {$(
        impl Make for $type {
            fn make($source: &mut Source) -> Self {
                let makers: &[fn(&mut Source) -> Self] = &[
                    |$source| { let _ = &$source; $first },
                    $(|$source| { let _ = &$source; $more }),*
                ];
                let drawn = $source.below(makers.len() as u64) as usize;
                makers[drawn]($source)
            }
        }
    )*};
}

made_by! {
    bool: |s| s.below(2) == 1;
    u8: |s| s.next() as Self;
    u16: |s| s.sized() as Self;
    u32: |s| s.sized() as Self;
    u64: |s| s.sized();
    [u8; 32]: |s| std::array::from_fn(|_| make(s));
    Digest32: |s| Self::new(make(s));
    PublicKey: |s| Self::from_bytes(make(s));
    Signature: |s| Self::from_bytes(std::array::from_fn(|_| make(s)));
    ChainId: |s| Self(make(s));
    BlockId: |s| Self(make(s));
    TxId: |s| Self(make(s));
    AssociationId: |s| Self(make(s));
    Grains: |s| Self::new(s.sized() % Self::MAX_SUPPLY.get()).expect("below the largest supply");
    Height: |s| Self::new(make(s));
    Epoch: |s| Self::new(make(s));
    Round: |s| Self::new(make(s));
    UnixMillis: |s| Self::new(make(s));
    Millis: |s| Self::new(make(s));
    MicroWatts: |s| Self::new(make(s));
    MicroJoules: |s| Self::new(make(s));
    ValidatorSet: |s| {
        let validators: heapless::Vec<Validator, VALIDATORS_MAX> = make(s);
        Self::new(validators)
    };
    RawTransaction: |s| {
        let bytes: heapless::Vec<u8, 300> = make(s);
        // None is shorter than its signature.
        Self([&[7; 64], bytes.as_slice()].concat())
    };
}

impl<T: Make> Make for Option<T> {
    fn make(source: &mut Source) -> Self {
        (source.below(2) == 1).then(|| make(source))
    }
}

impl<T: Make> Make for Box<T> {
    fn make(source: &mut Source) -> Self {
        Self::new(make(source))
    }
}

impl<A: Make, B: Make> Make for (A, B) {
    fn make(source: &mut Source) -> Self {
        (make(source), make(source))
    }
}

impl<T: Make, const N: usize> Make for heapless::Vec<T, N> {
    fn make(source: &mut Source) -> Self {
        let count = source.count(N);
        (0..count).map(|_| make(source)).collect()
    }
}

impl<T: Make, const N: usize> Make for Bounded<T, N> {
    fn make(source: &mut Source) -> Self {
        let count = source.count(N);
        (0..count).map(|_| make(source)).collect()
    }
}

impl<T: Make> Make for Vec<T> {
    fn make(source: &mut Source) -> Self {
        let count = source.count(16);
        (0..count).map(|_| make(source)).collect()
    }
}

impl<const N: usize> Make for heapless::String<N> {
    fn make(source: &mut Source) -> Self {
        const LETTERS: [char; 8] = ['a', 'Z', '7', ' ', '"', '\u{e4}', '\u{20ac}', '\u{1f331}'];
        let mut text = Self::new();
        for _ in 0..source.count(N) {
            let drawn = source.below(LETTERS.len() as u64) as usize;
            if text.push(LETTERS[drawn]).is_err() {
                break;
            }
        }
        text
    }
}

impl<const N: usize> Make for Schedule<N> {
    fn make(source: &mut Source) -> Self {
        Self { entries: make(source) }
    }
}

made_of! {
    Transfer { to, amount, memo }
    BuySlot { epoch, amount, signer, consent, reveal_head, preference }
    RequestAssociation { name, category, web, evidence, identity, deposit }
    RenewAssociation { association, evidence, identity }
    WithdrawRequest { association }
    Delegate { epoch, signer, amount }
    VoteAssociation { association, kind, approve }
    ReportEnergy { epoch, energy, method, error_permille }
    CertificateProof { scheme, certificate, signature }
    Vote { kind, height, round, block, signer }
    SignedVote { vote, signature }
    Proposal { height, round, block, pol_round, signer }
    SignedProposal { proposal, signature }
    Validator { owner, signer, weight }
    Header {
        version, chain, height, round, parent, time, proposer, transactions_root,
        transaction_count, state_root, history_root, validators_hash, next_validators_hash,
        parent_certificate_hash, reveal
    }
    CommitSignature { validator, signature }
    Certificate { height, round, block, signatures }
    Block { header, parent_certificate, transactions }
    EcoStatement { way, sentence, measure }
    Parameters {
        rule, epoch_length, slot_price_min, validators_max, validators_min, vote_window,
        preference_percent, association_cap, association_deposit, admission_epochs,
        cooling_epochs, release_delay, vesting_delay, epoch_reward, energy_price, assumed_power,
        sealing, block_interval_min, fee_min, transaction_bytes_max, block_bytes_max,
        block_transactions_max
    }
    Founder { owner, signer, weight, reveal_head }
    Genesis { name, time, eco, parameters, balances, founders }
    DecidedHeader { header, certificate, validators }
    Account { nonce, balance }
    Totals { pool, deposits, fees_in_flight, vesting, releasing, minted, donated, released }
    Seat { validator, reveal, revealed, signed, proposed, fees, reported, tombstoned }
    Reported { energy, method, error_permille }
    Term { epoch, seed, carried_on, begun_at, certificates, transactions, fold, seats }
    Bid { validator, reveal_head }
    Bids { epoch, bids }
    Attendance { now, before }
    Registry { pending, admitted, removals }
    Standing { key, status, category, deposit, granted_in, granted, donated, released }
    Elector { owner, weight, approve }
    Ballot { kind, closes, active_weight, electors }
    Roster { begun_at, validators }
    Tombstone { epoch }
    Stake { backers }
    Unlocking { slots }
}

one_of! {
    Action: |s| [
        Self::Transfer(make(s)),
        Self::BuySlot(make(s)),
        Self::RequestAssociation(make(s)),
        Self::RenewAssociation(make(s)),
        Self::WithdrawRequest(make(s)),
        Self::VoteAssociation(make(s)),
        Self::ReportEnergy(make(s)),
        Self::SubmitEvidence(make(s)),
        Self::Delegate(make(s)),
    ];
    Category: |s| [
        Self::Climate, Self::Hunger, Self::Diseases, Self::Children, Self::HumanCondition,
    ];
    IdentityProof: |s| [
        { let key = make(s); Self::Published { key, signature: make(s) } },
        Self::Certificate(make(s)),
    ];
    SignatureScheme: |s| [Self::EcdsaP256Sha256, Self::RsaPkcs1Sha256, Self::Ed25519];
    BallotKind: |s| [Self::Admission, Self::Removal];
    EnergyMethod: |s| [
        Self::MeasuredBoardInput, Self::MeasuredRails, Self::MeasuredCpuPackage, Self::Modelled,
        Self::MeasuredWall,
    ];
    VoteKind: |s| [Self::Prevote, Self::Precommit];
    Evidence: |s| [
        { let first = make(s); Self::Votes(first, make(s)) },
        { let first = make(s); Self::Proposals(first, make(s)) },
    ];
    EcoWay: |s| [Self::Solves, Self::Replaces, Self::MakesUp, Self::WorthIt];
    Rule: |s| [Self::GoodWill, Self::Stake, Self::Delegated];
    SealingRule: |s| [
        Self::Immediate,
        { let transactions = make(s); Self::Count { transactions, interval: make(s) } },
        Self::Single,
    ];
    Status: |s| [
        Self::Pending,
        Self::Admitted { expires: make(s) },
        Self::Refused { epoch: make(s) },
        Self::Withdrawn { epoch: make(s) },
        Self::Removed { epoch: make(s) },
        Self::Expired { epoch: make(s) },
    ];
}
