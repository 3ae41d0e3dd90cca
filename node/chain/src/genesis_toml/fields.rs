//! The keys of a genesis file, each with an example that messages show; of parameters also why
//! they are there, for the comments of a written file.

use crate::genesis::{EcoWay, Rule, SealingRule};

/// A key that a section may hold.
#[derive(Debug)]
pub(super) struct Field {
    pub(super) name: &'static str,
    /// What may stand behind `name =`.
    pub(super) example: &'static str,
    /// What it does, in the comment above it.
    pub(super) comment: &'static str,
}

const fn field(name: &'static str, example: &'static str) -> Field {
    Field { name, example, comment: "" }
}

const fn parameter(name: &'static str, example: &'static str, comment: &'static str) -> Field {
    Field { name, example, comment }
}

pub(super) const ROOT: &[Field] = &[
    field("name", r#""Good in our town""#),
    field("time", r#""2026-11-21T00:00:00Z""#),
    field("eco", r#"{ way = "replaces", sentence = "...", measure = "..." }"#),
    field("parameters", "{ }"),
    field(
        "founders",
        r#"[{ owner = "good1...", signer = "good1...", weight = "100 good", reveal_head = "64 hexadecimal digits" }]"#,
    ),
    field("balances", r#"{ good1... = "1000 good" }"#),
];

pub(super) const ECO: &[Field] = &[
    field("way", r#""solves", "replaces", "makes_up" or "worth_it""#),
    field("sentence", r#""It replaces ... by ...""#),
    field("measure", r#""Watts of all boards, as reported on the chain""#),
];

pub(super) const FOUNDER: &[Field] = &[
    field("owner", r#""good1...", the address of the account"#),
    field("signer", r#""good1...", the address of the slot's own key"#),
    field("weight", r#""100 good""#),
    field("reveal_head", r#""64 hexadecimal digits, printed with the signer key""#),
];

pub(super) const SEALING: &[Field] = &[field("transactions", "5"), field("interval", r#""5 s""#)];

/// Every entry of the balances has the same form; its key is an address.
pub(super) const BALANCES: &Field = &field("good1...", r#""1000 good""#);

/// The parameters, in the order in which a file is written.
pub(super) const PARAMETERS: &[Field] = &[
    parameter(
        "rule",
        r#""good-will", "stake" or "delegated""#,
        "Who gets weight: who donates, who locks coins, or for whom locked coins vote.",
    ),
    parameter("epoch_length", r#""1 h""#, "Length of an epoch, at least 1 s."),
    parameter("slot_price_min", r#""1 good""#, "The least a slot costs."),
    parameter("validators_max", "100", "The most validators in a set, 1 to 100."),
    parameter("validators_min", "4", "Below this many the former set carries on."),
    parameter("vote_window", r#""24 epochs""#, "How long a vote on an association is open."),
    parameter("preference_percent", "25", "The buyer's say in where a slot's price goes, 0 to 25."),
    parameter(
        "association_cap",
        r#""10000 good""#,
        "The most an association is given in one epoch; the rest waits in the pool.",
    ),
    parameter("association_deposit", r#""10 good""#, "What a request for admission holds."),
    parameter("admission_epochs", "8760", "How long an admission lasts without renewal."),
    parameter(
        "cooling_epochs",
        "24",
        "How long no new request is taken after a refusal, withdrawal or removal.",
    ),
    parameter("release_delay", r#""24 epochs""#, "How long a donation waits for its association."),
    parameter(
        "vesting_delay",
        r#""24 epochs""#,
        "How long a reward waits for its owner; as long a cheat can be brought to account.",
    ),
    parameter("epoch_reward", r#""0 good""#, "New money an epoch; may be nothing."),
    parameter("energy_price", r#""0.001 good""#, "What a kilojoule costs out of a reward."),
    parameter("assumed_power", r#""10 W""#, "The power of a validator that reports none."),
    parameter(
        "sealing",
        r#""immediate", "single", "five" or { transactions = 5, interval = "5 s" }"#,
        "When a block is sealed.",
    ),
    parameter("block_interval_min", r#""0 s""#, "The least time between a block and its parent."),
    parameter("fee_min", r#""0.001 good""#, "The least a transaction pays."),
    parameter("transaction_bytes_max", "2048", "The longest transaction, 256 to 4096."),
    parameter("block_bytes_max", "262144", "The largest sum of transactions in a block."),
    parameter("block_transactions_max", "2000", "The most transactions in a block, 1 to 8000."),
];

pub(super) const ECO_WAYS: [(&str, EcoWay); 4] = [
    ("solves", EcoWay::Solves),
    ("replaces", EcoWay::Replaces),
    ("makes_up", EcoWay::MakesUp),
    ("worth_it", EcoWay::WorthIt),
];

pub(super) const RULES: [(&str, Rule); 3] = [
    (Rule::GoodWill.name(), Rule::GoodWill),
    (Rule::Stake.name(), Rule::Stake),
    (Rule::Delegated.name(), Rule::Delegated),
];

pub(super) const SEALING_RULES: [(&str, SealingRule); 3] = [
    ("immediate", SealingRule::Immediate),
    ("single", SealingRule::Single),
    ("five", SealingRule::FIVE),
];
