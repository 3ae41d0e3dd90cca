//! Answering calls. Transactions that came together are verified together.

use std::collections::BTreeSet;

use goodwatt_chain::codec;
use goodwatt_chain::hash::TxId;
use goodwatt_chain::mempool::{AdmissionError, Dropped};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::{Bids, Key, StateError};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::{Height, HeightDelta};
use goodwatt_validator::LoggedBlock;
use goodwatt_validator::lookups::{self, Place};
use serde::Serialize;
use tokio::sync::oneshot;

use super::engine::Engine;
use super::{Answer, Request, queries};
use crate::hex;
use crate::protocol::{
    Call, Fault, FaultKind, FreshSigner, GuardText, History, PAGE_MAX, Status, Submitted,
    TransactionInfo,
};
use crate::signers::Signer;

/// How many transactions whose ids begin alike are looked at; with a billion of them a clash of
/// four is already unlikely.
pub(super) const CLASHES_MAX: usize = 16;

/// A transaction that was handed in, and who wants to know.
struct Handed {
    transaction: Transaction,
    wait: bool,
    reply: oneshot::Sender<Answer>,
}

impl Engine {
    /// Answers what was asked; true if one of them was to stop.
    pub(super) fn answer_all(&mut self, requests: Vec<Request>) -> bool {
        self.notice_clock();
        let mut handed = Vec::new();
        let mut stop = false;
        for request in requests {
            match request {
                Request::Stop => stop = true,
                // It was looked at above, as whenever somebody asks.
                Request::ClockSet => {}
                Request::Network(news) => self.hear(news),
                Request::Call(Call::Submit { transaction, wait }, reply) => {
                    match self.decode(&transaction) {
                        Ok(transaction) => handed.push(Handed { transaction, wait, reply }),
                        Err(fault) => answer(reply, Err(fault)),
                    }
                }
                Request::Call(call, reply) => {
                    // What was handed in before has to be seen by what is asked after it.
                    self.admit(core::mem::take(&mut handed));
                    let outcome = self.answer(call);
                    answer(reply, outcome);
                }
            }
        }
        self.admit(handed);
        stop
    }

    fn decode(&self, text: &str) -> Result<Transaction, Fault> {
        let invalid = |message: &dyn ToString| Fault::new(FaultKind::Invalid, message.to_string());
        let bytes = hex::decode(text)
            .ok_or_else(|| invalid(&"the transaction is not hexadecimal digits"))?;
        Transaction::decode(self.own.ledger().chain(), &bytes).map_err(|error| invalid(&error))
    }

    fn admit(&mut self, handed: Vec<Handed>) {
        if handed.is_empty() {
            return;
        }
        let transactions = handed.iter().map(|handed| handed.transaction.clone()).collect();
        let now = self.now();
        let admitted = self.own.submit(now, transactions);
        for (Handed { wait, reply, .. }, outcome) in handed.into_iter().zip(admitted) {
            match outcome {
                Ok(id) if wait => self.waiting.entry(id).or_default().push(reply),
                Ok(id) => answer(reply, value(&Submitted { id: id.to_string(), height: None })),
                Err(error) => answer(reply, Err(admission_fault(error))),
            }
        }
        self.carry_out();
    }

    /// Tells everybody who waits for a transaction what became of it.
    pub(super) fn tell(&mut self, id: &TxId, fate: &Result<Height, Dropped>) {
        for reply in self.waiting.remove(id).unwrap_or_default() {
            answer(
                reply,
                match fate {
                    Ok(height) => {
                        value(&Submitted { id: id.to_string(), height: Some(height.get()) })
                    }
                    Err(dropped) => Err(dropped_fault(*dropped)),
                },
            );
        }
    }

    fn answer(&mut self, call: Call) -> Answer {
        match call {
            Call::Status => value(&self.status()?),
            Call::Chain => value(&queries::chain(self.own.ledger())?),
            Call::Account { address } => {
                let key = queries::address(&address)?;
                value(&queries::account(self.own.ledger(), self.own.mempool(), &key)?)
            }
            Call::Transaction { id } => value(&self.transaction(&id)?),
            Call::History { address, limit } => value(&self.history(&address, limit)?),
            Call::Slots => {
                let ours = |key: &PublicKey| self.own.signers().find(key).is_some();
                value(&queries::slots(self.own.ledger(), ours)?)
            }
            Call::NewSigner { buyer } => value(&self.new_signer(&buyer)?),
            Call::Associations => value(&queries::associations(self.own.ledger())?),
            Call::Association { id } => {
                value(&queries::association(self.own.ledger(), queries::association_id(&id)?)?)
            }
            Call::Donations => value(&queries::donations(self.own.ledger())?),
            Call::Power => {
                let (blocks, transactions) = self.since_start();
                value(&self.watts.look(self.clock.uptime(), blocks, transactions))
            }
            Call::Energy => {
                let ours = |key: &PublicKey| self.own.signers().find(key).is_some();
                value(&queries::energy(self.own.ledger(), ours)?)
            }
            Call::Signing { on, clock_is_right } => {
                self.own.set_sign(on);
                if clock_is_right {
                    self.clock.vouch();
                    self.notice_clock();
                }
                tracing::info!("signing is switched {}", if on { "on" } else { "off" });
                value(&self.status()?)
            }
            Call::GuardExport => {
                let guard = self.own.card().guard.export();
                let guard = guard.map_err(|error| Fault::new(FaultKind::Failed, error))?;
                value(&GuardText { guard })
            }
            Call::Peers => value(&self.list_peers()?),
            Call::AddPeer { address } => value(&self.add_peer(&address)?),
            Call::BanPeer { peer, seconds } => value(&self.ban_peer(&peer, seconds)?),
            Call::UnbanPeer { peer } => value(&self.unban_peer(&peer)?),
            // Taken with its like before.
            Call::Submit { .. } => Err(Fault::new(FaultKind::Failed, "submitted twice")),
        }
    }

    /// Blocks and transactions sealed since the start.
    fn since_start(&self) -> (u64, u64) {
        let blocks = self.own.ledger().tip().height.since(self.height_at_start);
        (blocks.map_or(0, HeightDelta::get), self.own.transactions() - self.transactions_at_start)
    }

    fn status(&mut self) -> Result<Status, Fault> {
        let (blocks, transactions) = self.since_start();
        let in_charge = self.own.own_seat().is_some();
        let because = self.not_signing_because();
        let (tip, charge) = (self.own.ledger().tip(), self.own.ledger().in_charge());
        let uptime = self.clock.uptime();
        Ok(Status {
            version: crate::version::SHORT.to_owned(),
            chain_name: self.own.ledger().genesis().name.to_string(),
            chain_id: self.own.ledger().chain().to_string(),
            height: tip.height.get(),
            block_id: tip.id.to_string(),
            state_root: tip.state_root.to_string(),
            block_time_unix_ms: tip.time.get(),
            epoch: charge.epoch.get(),
            validators: charge.validators.len(),
            carried_on: charge.carried_on,
            in_charge,
            signing: because.is_none(),
            not_signing_because: because,
            mempool_transactions: self.own.mempool().len(),
            mempool_bytes: self.own.mempool().bytes(),
            transactions: self.own.transactions(),
            donated_grains: queries::donated(self.own.ledger())?.get(),
            uptime_s: uptime.get() / 1_000,
            power: self.watts.look(uptime, blocks, transactions),
            usage: self.watts.usage(),
            guard_refusals: self.own.guard_refusals(),
            catching_up: self.catching_up(),
        })
    }

    fn not_signing_because(&mut self) -> Option<String> {
        if !self.own.signs() {
            return Some("signing is switched off: goodwatt signing on".to_owned());
        }
        // A clock that is wrong shows even while there is nothing to sign.
        let clock = self.trusts_clock().err().map(|fault| fault.to_string());
        let guard = self.own.card().guard.fault();
        guard
            .or(clock)
            .or_else(|| self.own.silenced())
            .or_else(|| self.own.stuck().map(str::to_owned))
    }

    fn transaction(&mut self, id: &str) -> Result<TransactionInfo, Fault> {
        let wanted = queries::transaction_id(id)?;
        if let Some(waiting) = self.own.mempool().iter().find(|waiting| waiting.id() == wanted) {
            return Ok(queries::transaction(waiting, None));
        }
        let places = lookups::find(self.own.ledger().leaves(), &wanted, CLASHES_MAX)
            .map_err(|error| Fault::new(FaultKind::Failed, error))?;
        for place in places {
            if let Some(found) = self.read(place)?.filter(|found| found.id() == wanted) {
                return Ok(queries::transaction(&found, Some(place)));
            }
        }
        let pruned = self.pruned_below().map_or_else(String::new, |first| {
            format!(" in the blocks from {first} on; what is below is pruned here")
        });
        Err(Fault::new(FaultKind::NotFound, format!("there is no transaction {id}{pruned}")))
    }

    /// The first height whose body is here, if that is not the first block.
    fn pruned_below(&self) -> Option<u64> {
        self.own.card().log.first().map(Height::get).filter(|first| *first > 1)
    }

    fn history(&mut self, address: &str, limit: usize) -> Result<History, Fault> {
        let key = queries::address(address)?;
        let limit = limit.min(PAGE_MAX);
        let concerns = |transaction: &Transaction| {
            let sealed = goodwatt_chain::ledger::Sealed::from(transaction);
            sealed.sender == key || sealed.receiver == Some(key)
        };
        let waiting: Vec<&Transaction> =
            self.own.mempool().iter().filter(|transaction| concerns(transaction)).collect();
        let waiting = waiting.into_iter().rev().take(limit);
        let mut transactions: Vec<TransactionInfo> =
            waiting.map(|transaction| queries::transaction(transaction, None)).collect();
        let places = lookups::history(self.own.ledger().leaves(), &key, limit - transactions.len())
            .map_err(|error| Fault::new(FaultKind::Failed, error))?;
        for place in places {
            if let Some(transaction) = self.read(place)?.filter(concerns) {
                transactions.push(queries::transaction(&transaction, Some(place)));
            }
        }
        Ok(History { transactions, pruned_below: self.pruned_below() })
    }

    /// The transaction at a place in the log, if there is one.
    fn read(&mut self, (height, position): Place) -> Result<Option<Transaction>, Fault> {
        let failed = |error: &dyn ToString| Fault::new(FaultKind::Failed, error.to_string());
        let record = self.own.card().log.read(height).map_err(|error| {
            let now = self.now();
            self.own.note_damage(now, &error);
            failed(&error)
        })?;
        let Some(record) = record else { return Ok(None) };
        let logged: LoggedBlock = codec::decode(&record).map_err(|error| failed(&error))?;
        let position = usize::try_from(position).unwrap_or(usize::MAX);
        let raw = logged.block.transactions.get(position);
        let decode = |raw: &[u8]| Transaction::decode(self.own.ledger().chain(), raw);
        raw.map(|raw| decode(&raw.0)).transpose().map_err(|error| failed(&error))
    }

    fn new_signer(&mut self, buyer: &str) -> Result<FreshSigner, Fault> {
        let buyer = queries::address(buyer)?;
        let bids: Bids = self.own.ledger().view().read_or_default(Key::Bids)?;
        let chain = *self.own.ledger().chain();
        let failed = |error| Fault::new(FaultKind::Failed, error);
        let signer = self.own.signers_mut().create(bids.epoch).map_err(failed)?;
        let consent = signer.consent(&chain, &buyer, bids.epoch);
        let fresh = FreshSigner {
            epoch: bids.epoch.get(),
            signer: signer.public().to_string(),
            consent: hex::encode(&consent.to_bytes()),
            reveal_head: signer.reveal_head().to_string(),
        };
        Ok(fresh)
    }

    /// Erases slot keys whose purchase is no longer possible and that sign in no term.
    pub(super) fn erase_old_signers(&mut self) -> Result<(), StateError> {
        let terms = self.own.ledger().view().terms()?;
        let bids: Bids = self.own.ledger().view().read_or_default(Key::Bids)?;
        let seats = terms.current.seats.iter().chain(&terms.next.seats);
        let seated = seats.map(|seat| seat.validator.signer);
        let bought = bids.bids.iter().map(|bid| bid.validator.signer);
        let used: BTreeSet<PublicKey> = seated.chain(bought).collect();
        let is_over =
            |signer: &Signer| signer.epoch() < bids.epoch && !used.contains(&signer.public());
        match self.own.signers_mut().erase(is_over) {
            Ok(0) => {}
            Ok(count) => tracing::info!("{count} slot keys erased: their time is over"),
            Err(error) => tracing::warn!("{error}"),
        }
        Ok(())
    }
}

/// Sends an answer; whoever asked may be gone.
fn answer(reply: oneshot::Sender<Answer>, outcome: Answer) {
    drop(reply.send(outcome));
}

fn value<T: Serialize>(value: &T) -> Answer {
    serde_json::to_value(value).map_err(|error| Fault::new(FaultKind::Failed, error))
}

fn admission_fault(error: AdmissionError) -> Fault {
    let kind = match error {
        AdmissionError::Transaction(_) => FaultKind::Invalid,
        AdmissionError::Full(_) | AdmissionError::AccountFull(_) => FaultKind::Busy,
        AdmissionError::State(_) => FaultKind::Failed,
        _ => FaultKind::Refused,
    };
    Fault::new(kind, error)
}

fn dropped_fault(dropped: Dropped) -> Fault {
    match dropped {
        Dropped::Aged => Fault::new(FaultKind::Busy, "it waited too long and was dropped"),
        Dropped::Outbid => {
            Fault::new(FaultKind::Busy, "it gave way to a transaction with a higher fee")
        }
        Dropped::Refused(refusal) => Fault::new(FaultKind::Refused, refusal),
    }
}

impl From<serde_json::Error> for Fault {
    fn from(error: serde_json::Error) -> Self {
        Self::new(FaultKind::Failed, error)
    }
}
