//! `goodwatt --light`: balance, transactions and payments without a daemon, from nodes that are not
//! trusted. What `goodwatt_chain::light` judges is fetched and shown here.
//!
//! | to find | look in |
//! |---|---|
//! | whom is asked what, and what of it is proven | `session` |
//! | what stays for the next call | `kept` |
//! | why an answer is of no use | `fault` |

mod fault;
mod kept;
mod session;

use std::fmt::{self, Write};
use std::time::Duration;

use goodwatt_chain::hash::TxId;
use goodwatt_chain::light::{Sight, Support};
use goodwatt_chain::mempool::MempoolLimits;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::Account;
use goodwatt_chain::transaction::{Action, Transaction};
use goodwatt_units::Millis;
use serde::Serialize;

pub use self::session::{Checkpoint, Node};

use self::fault::LightFault;
use self::session::{Fate, Found, Proven, Session, now};
use super::args::{Command, LightArgs};
use super::context::{Context, read_genesis};
use super::error::ToolError;
use super::output::note;
use super::{show, wallet};
use crate::protocol::{AccountInfo, Submitted};
use crate::validator::transaction_info;

/// How long it may take until a payment is proven to be sealed.
const SEAL_PATIENCE: Duration = Duration::from_secs(60);
/// A chain in good order seals a block an epoch; its way here takes some of this.
const DELAY: Millis = Millis::from_secs(30);
/// What is to be said where trust begins before the vesting delay.
const OUTLIVED: &str = "the validators known here were in charge so long ago that they have nothing \
    left to lose by lying: compare the block below with people you trust, or begin at one of theirs \
    with --checkpoint";

/// What stands behind an answer.
#[derive(Debug, Serialize)]
struct ProofInfo {
    /// The block it is of.
    height: u64,
    block_id: String,
    block_time_unix_ms: u64,
    /// How old that is by this machine's clock.
    age_ms: u64,
    /// Who decided it; none where the checkpoint itself vouches for it.
    signers: usize,
    validators: usize,
    weight_percent: f64,
    /// Who gave the answer, and needs no trust for it.
    node: String,
    node_id: String,
    /// Why to be careful.
    warnings: Vec<String>,
}

/// An answer with what stands behind it.
#[derive(Debug, Serialize)]
struct WithProof<T> {
    #[serde(flatten)]
    answer: T,
    proof: ProofInfo,
}

/// Does a command as a light peer.
pub(super) fn run(context: &Context, light: &LightArgs, command: Command) -> Result<(), ToolError> {
    match command {
        Command::Balance { address } => balance(context, light, address),
        Command::Tx { id } => transaction(context, light, &id),
        Command::Send { to, amount, memo, sending } => {
            pay(context, light, &wallet::transfer(to, amount, &memo)?, sending.fee)
        }
        _ => Err(ToolError::Usage(
            "a light peer knows balance, tx and send; the rest needs a daemon: leave --light out"
                .to_owned(),
        )),
    }
}

fn open(context: &Context, light: &LightArgs) -> Result<Session, ToolError> {
    let genesis = match &light.genesis {
        Some(path) => read_genesis(path)?,
        None => context.genesis()?,
    };
    Session::open(genesis, light.connect.clone(), light.checkpoint)
}

fn balance(
    context: &Context,
    light: &LightArgs,
    address: Option<PublicKey>,
) -> Result<(), ToolError> {
    let key = context.address_or_own(address)?;
    let mut session = open(context, light)?;
    let mut all = session.ask_all(|node| account(node, &key))?;
    let Some(proven) = all.pop() else { return Err(nothing()) };
    let (account, pending) = &proven.answer;
    let answer = AccountInfo {
        address: key.to_string(),
        balance_grains: account.balance.get(),
        pending_balance_grains: pending.balance.get(),
        next_nonce: pending.nonce,
        height: proven.sight.height.get(),
    };
    let proof = proof_info(&session, &proven);
    print(context, &WithProof { answer, proof }, show::balance_text)
}

/// An account as it is proven, and as it will be by the word of the node, if that can be.
fn account(
    node: &mut session::Conversation<'_>,
    key: &PublicKey,
) -> Result<(Account, Account), LightFault> {
    let (proven, pending) = node.account(key)?;
    let proven = proven.unwrap_or_default();
    let most = proven.nonce.saturating_add(MempoolLimits::default().per_account as u64);
    if (proven.nonce..=most).contains(&pending.nonce) {
        Ok((proven, pending))
    } else {
        Err(LightFault::Number { said: pending.nonce, proven: proven.nonce })
    }
}

fn transaction(context: &Context, light: &LightArgs, id: &str) -> Result<(), ToolError> {
    let id: TxId = id.parse().map_err(|error| ToolError::Usage(format!("{id}: {error}")))?;
    let mut session = open(context, light)?;
    let mut all = session.ask_all(|node| node.transaction(&id))?;
    let sealed = all.iter().rposition(|proven| matches!(proven.answer, Found::Sealed(..)));
    let at = sealed.unwrap_or(all.len().saturating_sub(1));
    if at >= all.len() {
        return Err(nothing());
    }
    let proven = all.swap_remove(at);
    let answer = match &proven.answer {
        Found::Sealed(transaction, height, position) => {
            transaction_info(transaction, Some((*height, *position)))
        }
        Found::Waits(transaction) => transaction_info(transaction, None),
    };
    let proof = proof_info(&session, &proven);
    print(context, &WithProof { answer, proof }, show::transaction_text)
}

fn pay(
    context: &Context,
    light: &LightArgs,
    action: &Action,
    fee: Option<goodwatt_chain::units::Grains>,
) -> Result<(), ToolError> {
    let key = match &light.key {
        Some(path) => context.signing_key(path)?,
        None => context.owner_key()?,
    };
    let mut session = open(context, light)?;
    let chain = session.genesis.chain_id();
    let fee = fee.unwrap_or(session.genesis.parameters.fee_min);
    // Once it is signed it is the same for every node: two nodes never get two payments.
    let mut signed = None;
    let proven = session.ask_first(|node| {
        let transaction = match &signed {
            Some(transaction) if node.knows(transaction)? => transaction,
            Some(transaction) => {
                node.submit(transaction)?;
                transaction
            }
            None => {
                let (_, pending) = account(node, &key.public())?;
                let action = action.clone();
                let transaction = Transaction::sign(&chain, &key, pending.nonce, fee, action);
                let transaction = signed.insert(transaction);
                node.submit(transaction)?;
                transaction
            }
        };
        node.await_fate(transaction, SEAL_PATIENCE)
    })?;
    let id = signed.map(|transaction| transaction.id().to_string()).unwrap_or_default();
    match proven.answer {
        Fate::Sealed(height) => {
            let answer = Submitted { id, height: Some(height.get()) };
            let proof = proof_info(&session, &proven);
            print(context, &WithProof { answer, proof }, super::sending::submitted_text)
        }
        Fate::Replaced => Err(ToolError::Failed(format!(
            "{id} is not sealed: another transaction of this account took its number"
        ))),
        Fate::Unknown => Err(ToolError::Failed(format!(
            "{id} is not proven to be sealed within {} s, and may still be: look with `tx {id}` \
             before you pay again",
            SEAL_PATIENCE.as_secs()
        ))),
    }
}

fn nothing() -> ToolError {
    ToolError::Usage("--connect names no node".to_owned())
}

fn proof_info<T>(session: &Session, proven: &Proven<T>) -> ProofInfo {
    let Sight { height, block, time, support } = proven.sight;
    let (now, epoch) = (now(), session.genesis.parameters.epoch_length);
    let age = now.saturating_since(time);
    let mut warnings = Vec::from_iter(session.outlived().then(|| OUTLIVED.to_owned()));
    warnings.extend(stale(age, epoch));
    if time.saturating_since(now) > DELAY {
        warnings.push("the newest block is ahead of this machine's clock: set it".to_owned());
    }
    let Support { signers, validators, weight, total } =
        support.unwrap_or(Support { signers: 0, validators: 0, weight: 0, total: 0 });
    ProofInfo {
        height: height.get(),
        block_id: block.to_string(),
        block_time_unix_ms: time.get(),
        age_ms: age.get(),
        signers,
        validators,
        weight_percent: if total == 0 { 0.0 } else { weight as f64 * 100.0 / total as f64 },
        node: proven.node.to_string(),
        node_id: proven.peer.to_string(),
        warnings,
    }
}

/// What is to be said of a newest block of this age. A node can hold back what it likes, and no
/// proof shows that; but a chain in good order seals a block an epoch.
fn stale(age: Millis, epoch: Millis) -> Option<String> {
    (age > epoch.saturating_add(DELAY)).then(|| {
        format!(
            "the newest block that was proven is {} old, and a chain in good order seals one each \
             {}: it stands still, or the node holds newer blocks back; ask others",
            show_age(age),
            show_age(epoch)
        )
    })
}

fn show_age(age: Millis) -> String {
    let seconds = age.get() / 1_000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Prints an answer as it is printed without `--light`, with what stands behind it.
fn print<T: Serialize>(
    context: &Context,
    answer: &WithProof<T>,
    text: impl FnOnce(&mut String, &T) -> fmt::Result,
) -> Result<(), ToolError> {
    let WithProof { answer: shown, proof } = answer;
    proof.warnings.iter().for_each(|warning| note(&format!("goodwatt: {warning}")));
    let page = |page: &mut String| {
        text(page, shown)?;
        write!(
            page,
            "as of height {}, {} ago, ",
            proof.height,
            show_age(Millis::new(proof.age_ms))
        )?;
        if proof.validators == 0 {
            return writeln!(page, "by the word of the checkpoint");
        }
        let ProofInfo { signers, validators, weight_percent, .. } = proof;
        writeln!(
            page,
            "verified by {signers} of {validators} validators holding {weight_percent:.1} % of the \
             weight"
        )
    };
    Ok(context.output.print(answer, page)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_old_block_is_said_to_be_old() {
        let hour = Millis::from_secs(3_600);
        let check = |seconds, want: Option<&str>| {
            let said = stale(Millis::from_secs(seconds), hour);
            assert_eq!(said.is_some(), want.is_some(), "{seconds} s: {said:?}");
            assert!(want.is_none_or(|want| said.is_some_and(|said| said.contains(want))));
        };
        check(0, None);
        check(3_630, None);
        check(3_631, Some("60 min old"));
        check(3 * 3_600, Some("3 h old"));
        check(9 * 86_400, Some("9 days old, and a chain in good order seals one each 60 min"));
    }
}
