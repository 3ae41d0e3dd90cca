//! Transactions to test with.

use goodwatt_chain::hash::{AssociationId, BlockId, ChainId, Digest32, Domain};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::transaction::{
    Action, BallotKind, BuySlot, Category, EnergyMethod, IdentityProof, RenewAssociation,
    ReportEnergy, RequestAssociation, Transaction, Transfer, VoteAssociation, WithdrawRequest,
    association_id, identity_statement, renewal_statement, slot_consent,
};
use goodwatt_chain::units::{Epoch, Grains, Height, Round};
use goodwatt_chain::vote::{Evidence, Vote, VoteKind};
use goodwatt_units::MicroJoules;

use super::{Chain, key, reveal_head, text};

const ADMISSION: BallotKind = BallotKind::Admission;

pub(crate) fn document(number: u8) -> Digest32 {
    Digest32::new([number; 32])
}

pub(crate) fn transfer(to: &SigningKey, amount: Grains) -> Action {
    Action::Transfer(Transfer { to: to.public(), amount, memo: text("for bread") })
}

/// A request whose proof of identity is a published key's.
pub(crate) fn request(chain: &Chain, sender: &SigningKey) -> RequestAssociation {
    let published = key("published", 0);
    let mut request = RequestAssociation {
        name: text("Seeds"),
        category: Category::Hunger,
        web: text("https://seeds.example/about"),
        evidence: [document(1), document(2)].into_iter().collect(),
        identity: IdentityProof::Published {
            key: published.public(),
            signature: published.sign(&Digest32::ZERO),
        },
        deposit: chain.parameters().association_deposit,
    };
    identify(chain.ledger.chain(), &sender.public(), &mut request, &published);
    request
}

/// Signs the claims of a request as they stand.
pub(crate) fn identify(
    chain: &ChainId,
    sender: &PublicKey,
    request: &mut RequestAssociation,
    published: &SigningKey,
) {
    let signature = published.sign(&identity_statement(chain, sender, &request.claims()));
    request.identity = IdentityProof::Published { key: published.public(), signature };
}

/// Fresh evidence for an admitted association.
pub(crate) fn renewal(
    chain: &Chain,
    sender: &SigningKey,
    association: AssociationId,
) -> RenewAssociation {
    let published = key("published", 0);
    let unsigned = published.sign(&Digest32::ZERO);
    let identity = IdentityProof::Published { key: published.public(), signature: unsigned };
    let evidence = [document(9)].into_iter().collect();
    let mut renewal = RenewAssociation { association, evidence, identity };
    identify_renewal(chain.ledger.chain(), &sender.public(), &mut renewal);
    renewal
}

/// Signs a renewal as it stands.
pub(crate) fn identify_renewal(
    chain: &ChainId,
    sender: &PublicKey,
    renewal: &mut RenewAssociation,
) {
    let published = key("published", 0);
    let signature = published.sign(&renewal_statement(chain, sender, renewal));
    renewal.identity = IdentityProof::Published { key: published.public(), signature };
}

pub(crate) fn withdraw(association: AssociationId) -> Action {
    Action::WithdrawRequest(WithdrawRequest { association })
}

pub(crate) fn voice(association: AssociationId, kind: BallotKind, approve: bool) -> Action {
    Action::VoteAssociation(VoteAssociation { association, kind, approve })
}

pub(crate) fn report(epoch: Epoch, energy: u64, method: EnergyMethod, error: u16) -> Action {
    let energy = MicroJoules::new(energy);
    Action::ReportEnergy(ReportEnergy { epoch, energy, method, error_permille: error })
}

/// Two precommits of one key in one round.
pub(crate) fn double_vote(chain: &ChainId, signer: &SigningKey, height: u64) -> Evidence {
    votes(chain, signer, Some(block_id(1)), Some(block_id(2)), height)
}

pub(crate) fn votes(
    chain: &ChainId,
    signer: &SigningKey,
    first: Option<BlockId>,
    second: Option<BlockId>,
    height: u64,
) -> Evidence {
    let vote = |block| {
        let (kind, round) = (VoteKind::Precommit, Round::ZERO);
        let height = Height::new(height);
        Vote { kind, height, round, block, signer: signer.public() }.sign(chain, signer)
    };
    Evidence::Votes(vote(first), vote(second))
}

pub(crate) fn block_id(number: u8) -> BlockId {
    BlockId(Digest32::of(Domain::new(b"goodwatt/test/block"), &[&[number]]))
}

impl Chain {
    /// Signs with the account's next nonce and the least fee.
    pub(crate) fn sign(&self, key: &SigningKey, action: Action) -> Transaction {
        self.sign_later(key, 0, action)
    }

    /// Signs with the nonce after `ahead` others.
    pub(crate) fn sign_later(&self, key: &SigningKey, ahead: u64, action: Action) -> Transaction {
        let nonce = self.account(&key.public()).nonce + ahead;
        let fee = self.parameters().fee_min;
        Transaction::sign(self.ledger.chain(), key, nonce, fee, action)
    }

    /// A slot in the epoch that is open, for a fresh signer.
    pub(crate) fn slot(&mut self, buyer: &SigningKey, amount: Grains) -> BuySlot {
        let signer = self.fresh_signer();
        let epoch = self.bids().epoch;
        let digest = slot_consent(self.ledger.chain(), &buyer.public(), epoch);
        BuySlot {
            epoch,
            amount,
            signer: signer.public(),
            consent: signer.sign(&digest),
            reveal_head: reveal_head(&signer.public()),
            preference: None,
        }
    }

    pub(crate) fn buy(&mut self, buyer: &SigningKey, amount: Grains) -> Transaction {
        let slot = self.slot(buyer, amount);
        self.sign(buyer, Action::BuySlot(slot))
    }

    /// A purchase of the epoch asked for, whether or not it is open.
    pub(crate) fn buy_in(&mut self, buyer: &SigningKey, amount: Grains, epoch: u64) -> Transaction {
        let mut slot = self.slot(buyer, amount);
        slot.epoch = Epoch::new(epoch);
        let digest = slot_consent(self.ledger.chain(), &buyer.public(), slot.epoch);
        slot.consent = self.signer(&slot.signer).sign(&digest);
        self.sign(buyer, Action::BuySlot(slot))
    }

    pub(crate) fn buy_preferring(
        &mut self,
        buyer: &SigningKey,
        amount: Grains,
        preference: AssociationId,
    ) -> Transaction {
        let slot = BuySlot { preference: Some(preference), ..self.slot(buyer, amount) };
        self.sign(buyer, Action::BuySlot(slot))
    }

    /// Asks for admission, and gives the id it will have.
    pub(crate) fn ask(&self, sender: &SigningKey) -> (AssociationId, Transaction) {
        let request = Box::new(request(self, sender));
        let nonce = self.account(&sender.public()).nonce;
        let id = association_id(self.ledger.chain(), &sender.public(), nonce);
        (id, self.sign(sender, Action::RequestAssociation(request)))
    }

    pub(crate) fn evidence(&self, sender: &SigningKey, evidence: Evidence) -> Transaction {
        self.sign(sender, Action::SubmitEvidence(Box::new(evidence)))
    }

    /// Has associations admitted by the voices of these owners, and gives their ids. Ends in the
    /// epoch in which the votes were counted.
    pub(crate) fn admit(
        &mut self,
        senders: &[SigningKey],
        voters: &[SigningKey],
    ) -> Vec<AssociationId> {
        let (ids, requests): (Vec<_>, Vec<_>) = senders.iter().map(|s| self.ask(s)).unzip();
        self.seal(&requests);
        let ballots = voters.iter().flat_map(|voter| {
            (0..).zip(&ids).map(move |(ahead, id)| (voter, ahead, voice(*id, ADMISSION, true)))
        });
        let votes = ballots.map(|(voter, ahead, action)| self.sign_later(voter, ahead, action));
        let votes: Vec<_> = votes.collect();
        self.seal(&votes);
        self.walk_to(self.epoch().after(self.parameters().vote_window).get());
        let admitted = self.registry().admitted;
        assert!(ids.iter().all(|id| admitted.contains(id)), "the votes pass");
        ids
    }
}
