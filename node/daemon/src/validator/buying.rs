//! A slot for every epoch, bought with the owner's key: unlocked once, kept in memory alone, and
//! gone with the process.
//!
//! The cap is a promise of this program and of nothing else: whoever takes the process over has the
//! key. For each epoch there is one purchase of this board at most, whatever comes in between: a
//! signer key made for an epoch lies on the card and says that one was begun.

use goodwatt_chain::hash::TxId;
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::state::{Bids, Key};
use goodwatt_chain::transaction::{Action, BuySlot, Transaction};
use goodwatt_chain::units::{Epoch, Grains};

use super::engine::Engine;
use super::queries;
use crate::hex;
use crate::protocol::{AccountSeed, Buying, Fault, FaultKind};

/// The owner's key and what it may be used for.
#[derive(Debug)]
pub(super) struct Purse {
    key: SigningKey,
    /// What is paid for a slot.
    price: Grains,
    /// What may be spent in one epoch, fee and all.
    cap: Grains,
    /// What came of the last try.
    last: Option<String>,
}

impl Engine {
    /// Takes the owner's key, and buys at once what is on sale.
    pub(super) fn open_purse(
        &mut self,
        seed: &AccountSeed,
        price: Grains,
        cap: Grains,
    ) -> Result<Buying, Fault> {
        let seed = hex::decode(seed.text()).map(zeroize::Zeroizing::new);
        let seed =
            seed.as_ref().and_then(|bytes| bytes.first_chunk().filter(|_| bytes.len() == 32));
        let invalid = || Fault::new(FaultKind::Invalid, "a seed has 64 hexadecimal digits");
        let key = SigningKey::from_seed(seed.ok_or_else(invalid)?);
        let fee = self.own.ledger().genesis().parameters.fee_min;
        if price.checked_add(fee).is_none_or(|cost| cost > cap) {
            return Err(Fault::new(
                FaultKind::Invalid,
                format!("a slot costs {price} and a fee of {fee}, and the cap is {cap}: raise it"),
            ));
        }
        tracing::info!("buys a slot in each epoch for {}, with {price} each", key.public());
        self.purse = Some(Purse { key, price, cap, last: None });
        self.buy_slot();
        self.carry_out();
        Ok(self.buying())
    }

    /// Forgets the owner's key.
    pub(super) fn close_purse(&mut self) -> Buying {
        if self.purse.take().is_some() {
            tracing::info!("buys no more slots: the owner's key is locked");
        }
        self.buying()
    }

    /// What is bought.
    pub(super) fn buying(&self) -> Buying {
        let purse = self.purse.as_ref();
        Buying {
            buyer: purse.map(|purse| purse.key.public().to_string()),
            price_grains: purse.map_or(0, |purse| purse.price.get()),
            cap_grains: purse.map_or(0, |purse| purse.cap.get()),
            last: purse.and_then(|purse| purse.last.clone()),
        }
    }

    /// Buys a slot in the epoch that is on sale, where none was bought here.
    pub(super) fn buy_slot(&mut self) {
        let Some(purse) = self.purse.take() else { return };
        let outcome = match self.try_to_buy(&purse) {
            Ok(None) => None,
            Ok(Some((epoch, id))) => Some(format!("bought a slot in {epoch}: {id}")),
            Err(why) => Some(format!("bought no slot: {}", why.message)),
        };
        if let Some(outcome) = &outcome {
            tracing::info!("{outcome}");
        }
        let last = outcome.or(purse.last);
        self.purse = Some(Purse { last, ..purse });
    }

    fn try_to_buy(&mut self, purse: &Purse) -> Result<Option<(Epoch, TxId)>, Fault> {
        let (now, ledger) = (self.now(), self.own.ledger());
        let bids: Bids = ledger.view().read_or_default(Key::Bids)?;
        let behind = ledger.genesis().epoch_at(now.wall) > ledger.in_charge().epoch;
        if behind || self.own.signers().has_for(bids.epoch) {
            return Ok(None);
        }
        let refused = |why: String| Fault::new(FaultKind::Refused, why);
        let (buyer, fee) = (purse.key.public(), ledger.genesis().parameters.fee_min);
        let account = queries::account(ledger, self.own.mempool(), &buyer)?;
        let cost = purse.price.checked_add(fee).filter(|cost| *cost <= purse.cap);
        let cost = cost.ok_or_else(|| refused("it costs more than the cap".to_owned()))?;
        if account.pending_balance_grains < cost.get() {
            return Err(refused(format!("{buyer} has less than {cost}")));
        }
        let chain = *ledger.chain();
        let signer = self.own.signers_mut().create(bids.epoch);
        let signer = signer.map_err(|error| Fault::new(FaultKind::Failed, error))?;
        let action = Action::BuySlot(BuySlot {
            epoch: bids.epoch,
            amount: purse.price,
            signer: signer.public(),
            consent: signer.consent(&chain, &buyer, bids.epoch),
            reveal_head: signer.reveal_head(),
            preference: None,
        });
        let bought = Transaction::sign(&chain, &purse.key, account.next_nonce, fee, action);
        match self.own.submit(now, vec![bought]).pop() {
            Some(Ok(id)) => Ok(Some((bids.epoch, id))),
            Some(Err(error)) => Err(refused(error.to_string())),
            None => Err(refused("it was handed in, and nothing came of it".to_owned())),
        }
    }
}
