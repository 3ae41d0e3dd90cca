//! Genesis as people write it: TOML with units, addresses and UTC times.
//!
//! A value whose name does not say its unit has the unit in the value (`"24 epochs"`, `"1 good"`).
//! Parameters may be left out, everything else may not; a key that means nothing is refused. The
//! chain id is taken over the canonical bytes of what was read, so neither the order of balances
//! nor comments, spelling of units or white space change it.
//!
//! Every error says file, line and column, and what to write instead.

mod fields;
mod quantity;
mod reader;
mod time;
mod write;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use toml::de::{DeTable, DeValue};

use self::fields::{BALANCES, ECO, FOUNDER, PARAMETERS, ROOT, SEALING};
use self::reader::{At, Fault, Item, Located, Section, ValueError};
use crate::genesis::{EcoStatement, Founder, Genesis, GenesisError, Parameters, Rule, SealingRule};
use crate::signature::PublicKey;
use crate::units::Grains;
use crate::validators::VALIDATORS_MAX;

/// The longest text that is read: room for 150,000 balances.
pub const GENESIS_TEXT_BYTES_MAX: usize = 16 * 1_024 * 1_024;

impl Genesis {
    /// Reads a genesis file and checks that a chain can begin from it. `file_name` stands in
    /// messages only.
    ///
    /// # Errors
    /// [`GenesisError::Text`], which names file, line and column and what to write.
    pub fn from_toml(text: &str, file_name: &str) -> Result<Self, GenesisError> {
        read(text).map_err(|Located { fault, at }| {
            let (line, column) = line_and_column(text, at);
            GenesisError::Text(alloc::format!("{file_name}:{line}:{column}: {fault}"))
        })
    }

    /// The genesis file that [`Genesis::from_toml`] reads back as this very genesis, with a
    /// comment on each parameter. Its time has to lie before the year 10000.
    #[must_use]
    pub fn to_toml(&self) -> String {
        write::genesis(self)
    }
}

/// Counts from 1; columns in characters.
fn line_and_column(text: &str, at: At) -> (usize, usize) {
    let before = text.get(..at.0).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
    (line, before[line_start..].chars().count() + 1)
}

fn read(text: &str) -> Result<Genesis, Located> {
    if text.len() > GENESIS_TEXT_BYTES_MAX {
        return Err(Fault::TextTooLong { len: text.len() }.at(At(0)));
    }
    let document = DeTable::parse(text).map_err(|error| {
        let at = error.span().map_or(0, |span| span.start);
        Fault::Syntax(error.message().to_string()).at(At(at))
    })?;
    let root = Section::new("the file", document.get_ref(), At(0), ROOT)?;
    let parameters = root.optional("parameters");
    let parameters = parameters.map(|item| item.section("[parameters]", PARAMETERS)).transpose()?;
    let genesis = Genesis {
        name: root.required("name")?.bounded_text()?,
        time: root.required("time")?.parse(|text| time::parse(text).map_err(ValueError::Time))?,
        eco: eco(&root.required("eco")?.section("[eco]", ECO)?)?,
        parameters: parameters.as_ref().map_or(Ok(Parameters::default()), read_parameters)?,
        balances: balances(&root.required("balances")?)?,
        founders: founders(&root.required("founders")?)?,
    };
    match genesis.check() {
        Ok(()) => Ok(genesis),
        Err(error) => {
            let at = whereabouts(&root, parameters.as_ref(), &genesis, &error);
            Err(Fault::Unfit(error).at(at))
        }
    }
}

/// Where in the file the cause of a failed check stands.
fn whereabouts(
    root: &Section<'_>,
    parameters: Option<&Section<'_>>,
    genesis: &Genesis,
    error: &GenesisError,
) -> At {
    let section = match error {
        GenesisError::OutOfRange { name, .. } => {
            // A default can be out of range only because of another parameter: blame the section.
            return parameters.map_or(At(0), |section| section.key_at(name));
        }
        GenesisError::NoEcoStatement => "eco",
        GenesisError::BadFounder(owner) | GenesisError::UnbackedFounder(owner) => {
            let index = genesis.founders.iter().position(|founder| founder.owner == *owner);
            return root.element_at("founders", index.unwrap_or(0));
        }
        GenesisError::TooFewFounders { .. } | GenesisError::TooManyFounders { .. } => "founders",
        _ => "balances",
    };
    root.key_at(section)
}

fn eco(section: &Section<'_>) -> Result<EcoStatement, Located> {
    Ok(EcoStatement {
        way: section.required("way")?.one_of(&fields::ECO_WAYS)?,
        sentence: section.required("sentence")?.bounded_text()?,
        measure: section.required("measure")?.bounded_text()?,
    })
}

fn read_parameters(section: &Section<'_>) -> Result<Parameters, Located> {
    let mut p = Parameters::default();
    section.set("rule", &mut p.rule, rule)?;
    section.set("epoch_length", &mut p.epoch_length, Item::duration)?;
    section.set("slot_price_min", &mut p.slot_price_min, Item::money)?;
    section.set("validators_max", &mut p.validators_max, Item::integer)?;
    section.set("validators_min", &mut p.validators_min, Item::integer)?;
    section.set("vote_window", &mut p.vote_window, Item::epochs)?;
    section.set("preference_percent", &mut p.preference_percent, Item::integer)?;
    section.set("association_cap", &mut p.association_cap, Item::money)?;
    section.set("association_deposit", &mut p.association_deposit, Item::money)?;
    section.set("admission_epochs", &mut p.admission_epochs, Item::integer)?;
    section.set("cooling_epochs", &mut p.cooling_epochs, Item::integer)?;
    section.set("release_delay", &mut p.release_delay, Item::epochs)?;
    section.set("vesting_delay", &mut p.vesting_delay, Item::epochs)?;
    section.set("epoch_reward", &mut p.epoch_reward, Item::money)?;
    section.set("energy_price", &mut p.energy_price, Item::money)?;
    section.set("assumed_power", &mut p.assumed_power, Item::power)?;
    section.set("sealing", &mut p.sealing, sealing)?;
    section.set("block_interval_min", &mut p.block_interval_min, Item::duration)?;
    section.set("fee_min", &mut p.fee_min, Item::money)?;
    section.set("transaction_bytes_max", &mut p.transaction_bytes_max, Item::integer)?;
    section.set("block_bytes_max", &mut p.block_bytes_max, Item::integer)?;
    section.set("block_transactions_max", &mut p.block_transactions_max, Item::integer)?;
    Ok(p)
}

fn rule(item: &Item<'_>) -> Result<Rule, Located> {
    item.parse(|text| match fields::RULES.iter().find(|(word, _)| *word == text) {
        Some((_, rule)) => Ok(*rule),
        None if text == "work" => Err(ValueError::Work),
        None => Err(ValueError::Word),
    })
}

fn sealing(item: &Item<'_>) -> Result<SealingRule, Located> {
    if !matches!(item.value(), DeValue::Table(_)) {
        return item.one_of(&fields::SEALING_RULES);
    }
    let section = item.section("[parameters] sealing", SEALING)?;
    Ok(SealingRule::Count {
        transactions: section.required("transactions")?.integer()?,
        interval: section.required("interval")?.duration()?,
    })
}

/// Balances by rising key, whatever their order in the file.
fn balances(item: &Item<'_>) -> Result<Vec<(PublicKey, Grains)>, Located> {
    let mut balances = Vec::new();
    for entry in item.entries(BALANCES)? {
        let (at, owner) = entry.key(|text| text.parse().map_err(ValueError::Address))?;
        balances.push((owner, at, entry.money()?));
    }
    // By key, then by place, so that the later of two is the one that is told.
    balances.sort_unstable_by_key(|(owner, at, _)| (*owner, *at));
    let twice = balances.windows(2).find(|pair| pair[0].0 == pair[1].0);
    if let Some((owner, at, _)) = twice.and_then(<[_]>::last) {
        return Err(Fault::Unfit(GenesisError::TwiceInBalances(*owner)).at(*at));
    }
    Ok(balances.into_iter().map(|(owner, _, balance)| (owner, balance)).collect())
}

fn founders(item: &Item<'_>) -> Result<heapless::Vec<Founder, VALIDATORS_MAX>, Located> {
    let mut founders = heapless::Vec::new();
    for section in item.sections("[[founders]]", FOUNDER)? {
        let section = section?;
        let founder = Founder {
            owner: section.required("owner")?.address()?,
            signer: section.required("signer")?.address()?,
            weight: section.required("weight")?.money()?,
            reveal_head: section
                .required("reveal_head")?
                .parse(|text| text.parse().map_err(ValueError::Digest))?,
        };
        founders.push(founder).map_err(|_| Fault::TooManyFounders.at(section.at()))?;
    }
    Ok(founders)
}
