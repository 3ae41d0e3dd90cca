//! The guard as text: to take along to another board, or to mend a damaged one.

use core::fmt::Write;
use core::str::FromStr;

use goodwatt_chain::hash::{ChainId, Digest32};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};

use super::{GuardError, GuardRecord, SignedStep, SigningGuard};
use crate::disk::{DiskError, Folder};

const NAMES: [&str; 8] =
    ["goodwatt-guard", "chain", "signer", "height", "round", "proposal", "prevote", "precommit"];

/// Why a text is not an exported guard.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ExchangeError {
    /// A line is missing, or another stands in its place.
    #[error("line {line} has to be `{name} = ...`")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What it has to name.
        name: &'static str,
    },
    /// A value is not of its form.
    #[error("the value of `{0}` is not understood")]
    Value(&'static str),
    /// Lines follow the last one.
    #[error("lines follow the last one: a guard has eight")]
    TooLong,
}

/// Why a guard was not imported. The guard is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The text is not an exported guard.
    #[error(transparent)]
    Exchange(#[from] ExchangeError),
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// It is of another chain.
    #[error("the exported guard is of chain {found}, this folder is of chain {expected}")]
    WrongChain {
        /// Chain of the text.
        found: ChainId,
        /// Chain of the folder.
        expected: ChainId,
    },
    /// The guard in the folder is of another chain.
    #[error(transparent)]
    Guard(GuardError),
}

impl SigningGuard {
    /// The exchange format; a guard that signed nothing has height 0.
    #[must_use]
    pub fn export(&self) -> String {
        let empty = GuardRecord {
            signer: PublicKey::from_bytes([0; 32]),
            height: Height::ZERO,
            round: Round::ZERO,
            steps: [None; 3],
        };
        write(&self.chain, self.record.as_ref().unwrap_or(&empty))
    }

    /// Raises the guard in `folder` to an exported one, making it where it is missing or damaged.
    /// Gives whether it was raised; it is never lowered.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub fn import(folder: &Folder, chain: ChainId, text: &str) -> Result<bool, ImportError> {
        let (found, imported) = parse(text)?;
        if found != chain {
            return Err(ImportError::WrongChain { found, expected: chain });
        }
        let mut guard = match Self::open(folder, chain) {
            Ok(guard) => guard,
            Err(GuardError::Missing | GuardError::Damaged) => {
                Self::create_with(folder, chain, Some(imported))?;
                return Ok(true);
            }
            Err(GuardError::Disk(error)) => return Err(error.into()),
            Err(error) => return Err(ImportError::Guard(error)),
        };
        let merged = Some(merge(guard.record.as_ref(), &imported));
        if guard.record == merged {
            return Ok(false);
        }
        guard.write(merged)?;
        Ok(true)
    }
}

/// The higher of both; of one round, the steps of both, where one's own word stands.
fn merge(own: Option<&GuardRecord>, imported: &GuardRecord) -> GuardRecord {
    let Some(own) = own else { return *imported };
    let place = |record: &GuardRecord| (record.height, record.round);
    let mut merged = *own;
    if place(imported) > place(own) {
        merged = *imported;
    } else if place(imported) == place(own) {
        for (step, other) in merged.steps.iter_mut().zip(imported.steps) {
            *step = step.or(other);
        }
    }
    merged
}

fn write(chain: &ChainId, record: &GuardRecord) -> String {
    let step = |step: &Option<SignedStep>| match step {
        None => "none".to_owned(),
        Some(SignedStep { block: None, content }) => format!("nil {content}"),
        Some(SignedStep { block: Some(block), content }) => format!("{block} {content}"),
    };
    let [proposal, prevote, precommit] = record.steps.each_ref().map(step);
    let values = [
        "1".to_owned(),
        chain.to_string(),
        record.signer.to_string(),
        record.height.get().to_string(),
        record.round.get().to_string(),
        proposal,
        prevote,
        precommit,
    ];
    let mut text = String::new();
    for (name, value) in NAMES.into_iter().zip(values) {
        // Writing into a string does not fail.
        let _: core::fmt::Result = writeln!(text, "{name} = {value}");
    }
    text
}

fn parse(text: &str) -> Result<(ChainId, GuardRecord), ExchangeError> {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty()).zip(1..);
    let mut values = [""; 8];
    for (value, name) in values.iter_mut().zip(NAMES) {
        let (line, number) = lines.next().unwrap_or(("", 0));
        let found = line.split_once('=').filter(|(found, _)| found.trim() == name);
        *value = found.ok_or(ExchangeError::Line { line: number, name })?.1.trim();
    }
    if lines.next().is_some() {
        return Err(ExchangeError::TooLong);
    }
    let [version, chain, signer, height, round, proposal, prevote, precommit] = values;
    if version != "1" {
        return Err(ExchangeError::Value(NAMES[0]));
    }
    let record = GuardRecord {
        signer: value(NAMES[2], signer)?,
        height: Height::new(value(NAMES[3], height)?),
        round: Round::new(value(NAMES[4], round)?),
        steps: [step(NAMES[5], proposal)?, step(NAMES[6], prevote)?, step(NAMES[7], precommit)?],
    };
    Ok((value(NAMES[1], chain)?, record))
}

fn value<T: FromStr>(name: &'static str, text: &str) -> Result<T, ExchangeError> {
    text.parse().map_err(|_| ExchangeError::Value(name))
}

fn step(name: &'static str, text: &str) -> Result<Option<SignedStep>, ExchangeError> {
    if text == "none" {
        return Ok(None);
    }
    // By hand one may write the block alone: then nothing more is signed in this step.
    let (block, content) = text.split_once(' ').unwrap_or((text, ""));
    let content = if content.is_empty() { Digest32::ZERO } else { value(name, content.trim())? };
    let block = if block == "nil" { None } else { Some(value(name, block)?) };
    Ok(Some(SignedStep { block, content }))
}
