//! Writes a genesis file.

use alloc::format;
use alloc::string::{String, ToString};

use super::fields::{ECO_WAYS, PARAMETERS, SEALING_RULES};
use super::{quantity, time};
use crate::genesis::{EcoStatement, Founder, Genesis, Parameters, SealingRule};
use crate::units::{GRAINS_PER_GOOD, Grains};

const HEAD: &str = "\
# Genesis: everything that is agreed before the first block. All who take part need this very
# content: the chain id is a hash over it. What each key means stands in docs/genesis.md.
";

pub(super) fn genesis(genesis: &Genesis) -> String {
    let mut text = format!(
        "{HEAD}\nname = {}\n# When epoch 0 begins, in UTC.\ntime = \"{}\"\n",
        quoted(&genesis.name),
        time::format(genesis.time),
    );
    text.push_str(&eco(&genesis.eco));
    text.push_str(&parameters(&genesis.parameters));
    text.push_str("\n# The validators that are there from the first block.\n");
    if genesis.founders.is_empty() {
        // An array of tables that has none cannot be written as sections.
        text.insert_str(HEAD.len(), "\nfounders = []\n");
    }
    genesis.founders.iter().for_each(|one| text.push_str(&founder(one)));
    text.push_str("\n# Who has what at the beginning, by address.\n[balances]\n");
    for (owner, balance) in &genesis.balances {
        text.push_str(&format!("{owner} = {}\n", money(*balance)));
    }
    text
}

fn eco(eco: &EcoStatement) -> String {
    let way = ECO_WAYS.iter().find(|(_, way)| *way == eco.way).map_or("", |(word, _)| word);
    format!(
        "\n# How this chain respects nature: it solves an ecological problem (solves), replaces a\n\
         # service at a lower footprint (replaces), makes up for its harm by donations or pollution\n\
         # fees (makes_up), or is worth the harm it does (worth_it).\n\
         [eco]\nway = \"{way}\"\nsentence = {}\nmeasure = {}\n",
        quoted(&eco.sentence),
        quoted(&eco.measure),
    )
}

fn parameters(p: &Parameters) -> String {
    let time = |span: goodwatt_units::Millis| {
        format!("\"{}\"", quantity::format(span.get(), quantity::TIME))
    };
    let epochs = |count: u64| format!("\"{}\"", quantity::format(count, quantity::EPOCHS));
    let power = quantity::format(p.assumed_power.get().into(), quantity::POWER);
    // In the order of `PARAMETERS`.
    let values = [
        quoted(p.rule.name()),
        time(p.epoch_length),
        money(p.slot_price_min),
        p.validators_max.to_string(),
        p.validators_min.to_string(),
        epochs(p.vote_window),
        p.preference_percent.to_string(),
        money(p.association_cap),
        money(p.association_deposit),
        p.admission_epochs.to_string(),
        p.cooling_epochs.to_string(),
        epochs(p.release_delay),
        epochs(p.vesting_delay),
        money(p.epoch_reward),
        money(p.energy_price),
        format!("\"{power}\""),
        sealing(p.sealing),
        time(p.block_interval_min),
        money(p.fee_min),
        p.transaction_bytes_max.to_string(),
        p.block_bytes_max.to_string(),
        p.block_transactions_max.to_string(),
    ];
    let lines = PARAMETERS
        .iter()
        .zip(values)
        .map(|(field, value)| format!("# {}\n{} = {value}\n", field.comment, field.name));
    core::iter::once(String::from("\n[parameters]\n")).chain(lines).collect()
}

fn sealing(rule: SealingRule) -> String {
    if let Some((word, _)) = SEALING_RULES.iter().find(|(_, other)| *other == rule) {
        return format!("\"{word}\"");
    }
    match rule {
        SealingRule::Count { transactions, interval } => {
            let interval = quantity::format(interval.get(), quantity::TIME);
            format!("{{ transactions = {transactions}, interval = \"{interval}\" }}")
        }
        // Both have a word.
        SealingRule::Immediate | SealingRule::Single => String::new(),
    }
}

fn founder(founder: &Founder) -> String {
    format!(
        "\n[[founders]]\nowner = \"{}\"\nsigner = \"{}\"\nweight = {}\nreveal_head = \"{}\"\n",
        founder.owner,
        founder.signer,
        money(founder.weight),
        founder.reveal_head,
    )
}

/// Money in goods, without zeros at its end.
fn money(amount: Grains) -> String {
    let (good, rest) = (amount.get() / GRAINS_PER_GOOD, amount.get() % GRAINS_PER_GOOD);
    let fraction = format!("{rest:06}");
    match fraction.trim_end_matches('0') {
        "" => format!("\"{good} good\""),
        digits => format!("\"{good}.{digits} good\""),
    }
}

/// A TOML basic string.
fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            // TOML wants the code point of every control character but the tab.
            control if control.is_control() => {
                quoted.push_str(&format!("\\u{:04X}", u32::from(control)));
            }
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}
