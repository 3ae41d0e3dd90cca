//! Genesis: everything that is agreed before the first block. Its hash is the chain id.

use alloc::string::String;
use alloc::vec::Vec;

use goodwatt_units::{MicroWatts, Millis};
use serde::{Deserialize, Serialize};

use crate::block::BLOCK_BYTES_MAX;
use crate::codec;
use crate::hash::{ChainId, Digest32, Domain};
use crate::signature::PublicKey;
use crate::transaction::TRANSACTION_BYTES_MAX;
use crate::units::{Epoch, Grains, UnixMillis};
use crate::validators::VALIDATORS_MAX;

/// The longest delay of a release or a reward, in epochs: a week of hours. It bounds how many
/// epochs a transition has to look at.
pub const DELAY_EPOCHS_MAX: u64 = 168;

/// The most validators of a chain whose stake votes for delegates.
pub const DELEGATES_MAX: u8 = 21;

/// The most transactions a block may hold.
pub const BLOCK_TRANSACTIONS_MAX: u32 = 8_000;

const GENESIS: Domain = Domain::new(b"goodwatt/genesis");
const GENESIS_SEED: Domain = Domain::new(b"goodwatt/seed/genesis");

/// When a proposer seals a block. It never waits for an exact count.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum SealingRule {
    /// At once when a transaction waits.
    Immediate,
    /// When this many transactions wait, or the interval has passed since the first of them.
    Count {
        /// How many transactions, at least 1.
        transactions: u16,
        /// The longest wait of the first of them.
        interval: Millis,
    },
    /// At once, one transaction a block.
    Single,
}

impl SealingRule {
    /// The preset named `five`: five transactions, or five seconds.
    pub const FIVE: Self = Self::Count { transactions: 5, interval: Millis::new(5_000) };
}

/// One of four ways in which a chain respects nature.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EcoWay {
    /// It solves an ecological problem.
    Solves,
    /// It replaces a service at a lower footprint.
    Replaces,
    /// It makes up for its harm by donations or pollution fees.
    MakesUp,
    /// It is worth the harm it does.
    WorthIt,
}

/// How this chain respects nature; without it a node refuses to start.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct EcoStatement {
    /// Which of the four ways.
    pub way: EcoWay,
    /// The way in a sentence.
    pub sentence: heapless::String<280>,
    /// How that is measured.
    pub measure: heapless::String<280>,
}

/// Who gets weight, and what becomes of the money that buys it: chosen here, never at run time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub enum Rule {
    /// Who donates the price of a slot; the price never returns.
    #[default]
    GoodWill,
    /// Who locks it; it returns after the term and the vesting delay, unless its owner cheats.
    Stake,
    /// Those behind whom most is locked, at most [`DELEGATES_MAX`].
    Delegated,
}

impl Rule {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::GoodWill, Self::Stake, Self::Delegated];

    /// The name, the same in every file and output.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::GoodWill => "good-will",
            Self::Stake => "stake",
            Self::Delegated => "delegated",
        }
    }

    /// Whether the price of a slot stays its buyer's, locked for a time.
    #[must_use]
    pub const fn locks(self) -> bool {
        matches!(self, Self::Stake | Self::Delegated)
    }
}

/// The parameters of the rules; see `docs/genesis.md` for each one's reason.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Parameters {
    /// Who gets weight.
    pub rule: Rule,
    /// Length of an epoch.
    pub epoch_length: Millis,
    /// The least a slot costs.
    pub slot_price_min: Grains,
    /// The most validators in a set.
    pub validators_max: u8,
    /// Below this many the former set carries on.
    pub validators_min: u8,
    /// How long a vote is open, in epochs.
    pub vote_window: u64,
    /// The buyer's part of a slot's price, in percent, at most 25.
    pub preference_percent: u8,
    /// The most an association is given in one epoch; the rest waits in the pool.
    pub association_cap: Grains,
    /// What a request for admission holds.
    pub association_deposit: Grains,
    /// How long an admission lasts without renewal, in epochs.
    pub admission_epochs: u64,
    /// How long after a refusal, withdrawal or removal no new request is taken, in epochs.
    pub cooling_epochs: u64,
    /// How long a donation waits before the association has it, in epochs.
    pub release_delay: u64,
    /// How long a reward waits before its owner has it, in epochs; also how long a cheat can be
    /// brought to account.
    pub vesting_delay: u64,
    /// New money an epoch, split among those who took part; may be zero.
    pub epoch_reward: Grains,
    /// What a kilojoule costs out of a reward.
    pub energy_price: Grains,
    /// The power of a validator that reports none.
    pub assumed_power: MicroWatts,
    /// When a block is sealed.
    pub sealing: SealingRule,
    /// The least time between a block and its parent.
    pub block_interval_min: Millis,
    /// The least a transaction pays.
    pub fee_min: Grains,
    /// The longest transaction, in bytes.
    pub transaction_bytes_max: u32,
    /// The largest sum of transactions in a block, in bytes.
    pub block_bytes_max: u32,
    /// The most transactions in a block.
    pub block_transactions_max: u32,
}

impl Default for Parameters {
    fn default() -> Self {
        Self {
            rule: Rule::GoodWill,
            epoch_length: Millis::from_secs(3_600),
            slot_price_min: Grains::from_good(1),
            validators_max: 100,
            validators_min: 4,
            vote_window: 24,
            preference_percent: 25,
            association_cap: Grains::from_good(10_000),
            association_deposit: Grains::from_good(10),
            admission_epochs: 8_760,
            cooling_epochs: 24,
            release_delay: 24,
            vesting_delay: 24,
            epoch_reward: Grains::ZERO,
            energy_price: Grains::from_good(1).mul_div_floor(1, 1_000),
            assumed_power: MicroWatts::from_milliwatts(10_000),
            sealing: SealingRule::Immediate,
            block_interval_min: Millis::ZERO,
            fee_min: Grains::from_good(1).mul_div_floor(1, 1_000),
            transaction_bytes_max: 2 * 1_024,
            block_bytes_max: 256 * 1_024,
            block_transactions_max: 2_000,
        }
    }
}

/// A validator that is there from the first block.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Founder {
    /// Its account.
    pub owner: PublicKey,
    /// Its slot key.
    pub signer: PublicKey,
    /// Its weight, in grains.
    pub weight: Grains,
    /// Head of its hash chain.
    pub reveal_head: Digest32,
}

/// Everything that is agreed before the first block.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Genesis {
    /// What people call the chain.
    pub name: heapless::String<64>,
    /// When epoch 0 begins.
    pub time: UnixMillis,
    /// How the chain respects nature.
    pub eco: EcoStatement,
    /// The parameters of the rules.
    pub parameters: Parameters,
    /// Who has what, by rising key.
    pub balances: Vec<(PublicKey, Grains)>,
    /// The founding validators with their founding slots.
    pub founders: heapless::Vec<Founder, VALIDATORS_MAX>,
}

/// Why a genesis can not begin a chain. The operator is at fault; nothing was written.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// The text is not a genesis file; the message names line and column.
    #[error("{0}")]
    Text(String),
    /// The eco statement says nothing.
    #[error("the eco statement needs a sentence and a measure: write [eco] sentence and measure")]
    NoEcoStatement,
    /// A parameter is out of its range.
    #[error("[parameters] {name} is out of range: {range}")]
    OutOfRange {
        /// Name of the parameter.
        name: &'static str,
        /// What it may be.
        range: &'static str,
    },
    /// No founding validator, or fewer than the smallest set.
    #[error("{found} founding validators are fewer than validators_min = {needed}")]
    TooFewFounders {
        /// How many stand in the file.
        found: usize,
        /// How many are needed.
        needed: u8,
    },
    /// More founding validators than the largest set.
    #[error("{found} founding validators are more than the {limit} that parameters and rule allow")]
    TooManyFounders {
        /// How many stand in the file.
        found: usize,
        /// How many there may be.
        limit: u8,
    },
    /// A signer key stands twice, or a weight is zero.
    #[error("founder {0}: its signer key stands twice or its weight is zero")]
    BadFounder(PublicKey),
    /// Weight that has to be locked, and is not there.
    #[error("founder {0}: by this rule its weight is locked out of its balance, which holds less")]
    UnbackedFounder(PublicKey),
    /// An account stands twice.
    #[error("account {0} stands twice in the balances")]
    TwiceInBalances(PublicKey),
    /// The balances add up to more than may ever exist.
    #[error("the balances add up to more than {max}", max = Grains::MAX_SUPPLY)]
    AboveSupply,
}

impl Genesis {
    /// The canonical bytes the chain id is taken over.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// The chain id: the same on every machine.
    #[must_use]
    pub fn chain_id(&self) -> ChainId {
        ChainId(Digest32::of(GENESIS, &[&self.encode()]))
    }

    /// The seed of an epoch whose seed no reveal could have made yet: 0 and 1.
    #[must_use]
    pub fn seed(&self, epoch: Epoch) -> Digest32 {
        let epoch = epoch.get().to_be_bytes();
        Digest32::of(GENESIS_SEED, &[self.chain_id().as_bytes(), &epoch])
    }

    /// The epoch a point in time belongs to; 0 before genesis.
    #[must_use]
    pub const fn epoch_at(&self, time: UnixMillis) -> Epoch {
        let length = self.parameters.epoch_length.get();
        let since = time.saturating_since(self.time).get();
        // `check` refuses a length of zero; without it all time is one epoch.
        match since.checked_div(length) {
            Some(epoch) => Epoch::new(epoch),
            None => Epoch::ZERO,
        }
    }

    /// When an epoch begins; saturates.
    #[must_use]
    pub const fn epoch_start(&self, epoch: Epoch) -> UnixMillis {
        self.time.after(self.parameters.epoch_length.saturating_mul(epoch.get()))
    }

    /// All the money there is at the beginning, or `None` above the largest supply.
    #[must_use]
    pub fn supply(&self) -> Option<Grains> {
        self.balances.iter().try_fold(Grains::ZERO, |sum, (_, balance)| sum.checked_add(*balance))
    }

    /// Checks that a chain can begin from this.
    ///
    /// # Errors
    /// The first fault found, see [`GenesisError`].
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.eco.sentence.trim().is_empty() || self.eco.measure.trim().is_empty() {
            return Err(GenesisError::NoEcoStatement);
        }
        self.parameters.check()?;
        self.check_founders()?;
        if let Some(twice) = self.balances.windows(2).find(|pair| pair[0].0 >= pair[1].0) {
            return Err(GenesisError::TwiceInBalances(twice[1].0));
        }
        self.supply().map(drop).ok_or(GenesisError::AboveSupply)
    }

    fn check_founders(&self) -> Result<(), GenesisError> {
        let (found, needed) = (self.founders.len(), self.parameters.validators_min);
        if found < usize::from(needed) {
            return Err(GenesisError::TooFewFounders { found, needed });
        }
        let limit = self.parameters.seats_max();
        if found > usize::from(limit) {
            return Err(GenesisError::TooManyFounders { found, limit });
        }
        for (index, founder) in self.founders.iter().enumerate() {
            let twice = self.founders.iter().skip(index + 1).any(|f| f.signer == founder.signer);
            if twice || founder.weight.is_zero() {
                return Err(GenesisError::BadFounder(founder.owner));
            }
        }
        let backed = |founder: &&Founder| self.free_balance(&founder.owner).is_some();
        match self.founders.iter().find(|founder| !backed(founder)) {
            Some(founder) => Err(GenesisError::UnbackedFounder(founder.owner)),
            None => Ok(()),
        }
    }

    /// What an account has at the beginning, less what is locked for it as a founder; `None` where
    /// that is more.
    pub(crate) fn free_balance(&self, owner: &PublicKey) -> Option<Grains> {
        let found = self.balances.binary_search_by_key(owner, |(key, _)| *key);
        let balance = found.map_or(Grains::ZERO, |at| self.balances[at].1);
        if !self.parameters.rule.locks() {
            return Some(balance);
        }
        let own = self.founders.iter().filter(|founder| founder.owner == *owner);
        own.map(|founder| founder.weight).try_fold(balance, Grains::checked_sub)
    }
}

impl Parameters {
    /// The most validators in a set under the rule of the chain.
    #[must_use]
    pub fn seats_max(&self) -> u8 {
        match self.rule {
            Rule::GoodWill | Rule::Stake => self.validators_max,
            Rule::Delegated => self.validators_max.min(DELEGATES_MAX),
        }
    }

    fn check(&self) -> Result<(), GenesisError> {
        let delays = 1..=DELAY_EPOCHS_MAX;
        let sealing = match self.sealing {
            SealingRule::Count { transactions, interval } => {
                transactions > 0
                    && u32::from(transactions) <= self.block_transactions_max
                    && interval > Millis::ZERO
            }
            SealingRule::Immediate | SealingRule::Single => true,
        };
        let rules: [(bool, &str, &str); 13] = [
            (self.epoch_length >= Millis::from_secs(1), "epoch_length", "at least 1 s"),
            (!self.slot_price_min.is_zero(), "slot_price_min", "more than nothing"),
            (
                (1..=VALIDATORS_MAX).contains(&usize::from(self.validators_max)),
                "validators_max",
                "1 to 100",
            ),
            (
                (1..=self.seats_max()).contains(&self.validators_min),
                "validators_min",
                match self.rule {
                    Rule::Delegated => "1 to validators_max, and to 21 where delegates validate",
                    Rule::GoodWill | Rule::Stake => "1 to validators_max",
                },
            ),
            (delays.contains(&self.vote_window), "vote_window", "1 to 168 epochs"),
            (self.preference_percent <= 25, "preference_percent", "0 to 25"),
            (delays.contains(&self.release_delay), "release_delay", "1 to 168 epochs"),
            (delays.contains(&self.vesting_delay), "vesting_delay", "1 to 168 epochs"),
            (self.admission_epochs > 0, "admission_epochs", "at least 1"),
            (sealing, "sealing", "1 to block_transactions_max transactions, interval above 0"),
            (
                (256..=TRANSACTION_BYTES_MAX as u32).contains(&self.transaction_bytes_max),
                "transaction_bytes_max",
                "256 to 4096",
            ),
            (
                self.block_bytes_max >= self.transaction_bytes_max
                    && self.block_bytes_max <= (BLOCK_BYTES_MAX - 32 * 1_024) as u32,
                "block_bytes_max",
                "transaction_bytes_max to 786432",
            ),
            (
                (1..=BLOCK_TRANSACTIONS_MAX).contains(&self.block_transactions_max),
                "block_transactions_max",
                "1 to 8000",
            ),
        ];
        match rules.into_iter().find(|(holds, ..)| !holds) {
            Some((_, name, range)) => Err(GenesisError::OutOfRange { name, range }),
            None => Ok(()),
        }
    }
}
