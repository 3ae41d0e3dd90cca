//! Talking to other validators: what they say is taken in here, and passed on to the rest.

use std::collections::BTreeMap;

use goodwatt_chain::block::{Block, RawTransaction};
use goodwatt_chain::codec;
use goodwatt_chain::hash::{BlockId, TxId};
use goodwatt_chain::mempool::AdmissionError;
use goodwatt_chain::rules::Refusal;
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::state::{Key, Term};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::Height;
use goodwatt_consensus::{Blame, Core, Event, Message as Word, Refusal as Refused};
use goodwatt_units::Millis;

use crate::bodies::Awaited;
use crate::catch_up::CatchUp;
use crate::message::{LoggedBlock, Message, Status};
use crate::parts::{Now, Output, PeerId, Signers, StateStore, To};
use crate::stuck::Stuck;
use crate::validator::Validator;

/// How long words of others wait for more, to be passed on in one message.
const BUNDLE_WAIT: Millis = Millis::new(15);
/// The most words in one message: 100 votes are 17 kB.
const BUNDLE_WORDS: usize = 256;
/// How long a body may lag behind its proposal before it is asked for, and between two askings.
const BODY_PATIENCE: Millis = Millis::new(300);
/// A peer is told what was heard at most once in this time.
const REPEAT_PAUSE: Millis = Millis::new(500);
/// The most bytes of waiting transactions that a new peer is told.
const GREETING_BYTES: usize = 128 << 10;

/// What is known of a peer.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    /// Where it said it stands.
    pub(crate) status: Option<Status>,
    /// Where it was told that this validator stands.
    told: Option<Height>,
    repeated_at: Option<Millis>,
    asked_at: Option<Millis>,
    /// It has spoken of a height far above since it was asked: it is asked once more.
    asks_later: bool,
}

impl Peer {
    /// Since when it may be asked where it stands.
    fn rested_at(&self) -> Millis {
        self.asked_at.map_or(Millis::ZERO, |at| at.saturating_add(REPEAT_PAUSE))
    }
}

/// All peers.
#[derive(Debug, Default)]
pub(crate) struct Peers {
    peers: BTreeMap<PeerId, Peer>,
    round_trip: Millis,
    pub(crate) catch_up: CatchUp,
}

impl Peers {
    pub(crate) fn is_empty(&self) -> bool {
        self.peers.is_empty()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (PeerId, &Peer)> {
        self.peers.iter().map(|(id, peer)| (*id, peer))
    }

    pub(crate) fn get_mut(&mut self, id: PeerId) -> Option<&mut Peer> {
        self.peers.get_mut(&id)
    }

    /// The round trip to most of them.
    pub(crate) const fn round_trip(&self) -> Millis {
        self.round_trip
    }

    /// When something about peers is due.
    pub(crate) fn due(&self) -> Option<Millis> {
        let later = self.peers.values().filter(|peer| peer.asks_later).map(Peer::rested_at);
        later.chain(self.catch_up.due()).min()
    }
}

/// Words of others on their way to the rest.
#[derive(Debug, Default)]
pub(crate) struct Relay {
    words: Vec<(Vec<PeerId>, Word)>,
    due: Option<Millis>,
}

impl Relay {
    pub(crate) const fn due(&self) -> Option<Millis> {
        self.due
    }

    /// How many there are.
    pub(crate) const fn len(&self) -> usize {
        self.words.len()
    }

    fn push(&mut self, now: Millis, from: PeerId, word: Word) {
        self.due = self.due.or(Some(now.saturating_add(BUNDLE_WAIT)));
        self.words.push((vec![from], word));
    }

    /// Notes that a peer knows a word already.
    fn is_known(&mut self, from: PeerId, word: &Word) {
        if let Some((known, _)) = self.words.iter_mut().find(|(_, held)| held == word) {
            known.push(from);
        }
    }
}

impl<S: StateStore, K: Signers> Validator<S, K> {
    /// A peer is there now.
    pub fn connected(&mut self, peer: PeerId) {
        self.peers.peers.insert(peer, Peer::default());
        self.tell_status(peer, self.running.is_some());
        let mut bytes = 0;
        let waiting = self.mempool.iter().map(|waiting| waiting.bytes().to_vec());
        let some = waiting.take_while(|waiting| {
            bytes += waiting.len();
            bytes <= GREETING_BYTES
        });
        let some: Vec<Vec<u8>> = some.collect();
        self.pass_on(To::Peer(peer), some);
    }

    /// A peer is gone.
    pub fn disconnected(&mut self, now: Now, peer: PeerId) {
        self.peers.peers.remove(&peer);
        self.peers.catch_up.lost(peer);
        self.catch_up(now);
    }

    /// The height a peer last said it is at.
    #[must_use]
    pub fn height_of(&self, peer: PeerId) -> Option<Height> {
        self.peers.peers.get(&peer)?.status.as_ref().map(|status| status.height)
    }

    /// How long a message takes to most peers and back.
    pub const fn set_round_trip(&mut self, round_trip: Millis) {
        self.peers.round_trip = round_trip;
    }

    /// Takes in what a peer says.
    pub fn receive(&mut self, now: Now, from: PeerId, message: Message) {
        if self.peers.get_mut(from).is_none() {
            return;
        }
        match message {
            Message::Status(status) => self.hear_status(now, from, status),
            Message::Agreement(words) => self.attempt(now, |own| own.hear(now, from, words)),
            Message::Body(block) => {
                self.attempt(now, |own| own.hear_body(now, from, *block));
            }
            Message::WantBody { height, block } => self.give_body(from, height, &block),
            Message::Transactions(raw) => self.hear_transactions(now, from, raw),
            Message::WantBlocks { from: first, count } => self.give_blocks(now, from, first, count),
            Message::Blocks(blocks) => {
                if let Some(blocks) = self.heal_with(now, from, blocks) {
                    self.hear_blocks(now, from, blocks);
                }
            }
            Message::WantHeaders { from: first, count } => {
                self.give_headers(now, from, first, count);
            }
            Message::WantState(question) => {
                self.outputs.push(Output::StateWanted(from, question));
            }
            // Asked for before there is a validator.
            Message::State(_) => {}
            Message::Headers(headers) => self.hear_headers(now, from, &headers),
        }
    }

    /// Where this validator stands.
    fn status(&self, wants: bool) -> Status {
        let tip = self.ledger.tip();
        let round = self.running.and_then(|_| self.core.progress().round);
        Status { height: tip.height, tip: tip.id, round, wants }
    }

    fn tell_status(&mut self, peer: PeerId, wants: bool) {
        let status = self.status(wants);
        if let Some(peer) = self.peers.get_mut(peer) {
            peer.told = Some(status.height);
        }
        self.send(To::Peer(peer), Message::Status(status));
    }

    /// Tells everybody where this validator stands, when a round did not go well.
    pub(crate) fn say_where_we_stand(&mut self) {
        let status = self.status(true);
        for peer in self.peers.peers.values_mut() {
            peer.told = Some(status.height);
        }
        self.send(To::All, Message::Status(status));
    }

    fn hear_status(&mut self, now: Now, from: PeerId, status: Status) {
        let tip = self.ledger.tip().height;
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.status = Some(status);
        let behind = status.height < tip && (status.wants || peer.told != Some(tip));
        let rested =
            peer.repeated_at.is_none_or(|at| at.saturating_add(REPEAT_PAUSE) <= now.uptime);
        if behind {
            self.tell_status(from, false);
        } else if status.height == tip && status.wants && rested {
            peer.repeated_at = Some(now.uptime);
            self.repeat_to(from);
        }
        if status.height > tip || self.awaits_tip {
            self.catch_up(now);
        }
    }

    /// Says once more what was heard at this height, bodies first.
    fn repeat_to(&mut self, peer: PeerId) {
        let height = self.ledger.tip().height.next();
        let words: Vec<Word> = self.heard.at(height).cloned().collect();
        for word in &words {
            self.send_body_of(To::Peer(peer), word);
        }
        for bundle in words.chunks(BUNDLE_WORDS) {
            self.send(To::Peer(peer), Message::Agreement(bundle.to_vec()));
        }
    }

    fn hear(&mut self, now: Now, from: PeerId, words: Vec<Word>) -> Result<(), Stuck> {
        for word in words {
            self.watch_own_key(&word);
            let height = self.ledger.tip().height;
            match self.core.handle(Event::Received(word.clone())) {
                Ok(actions) => {
                    self.taken(now, from, word);
                    self.carry_out(now, actions)?;
                }
                Err(refusal) => {
                    self.relay.is_known(from, &word);
                    match refusal {
                        Refused::Late => self.hear_late(now, &word)?,
                        Refused::TooFarAhead => self.ask_status(now, from),
                        _ => {}
                    }
                    if refusal.blame() == Blame::Sender && !self.in_good_faith(&refusal, &word) {
                        self.outputs.push(Output::Misbehaved(from, refusal.to_string()));
                    }
                }
            }
            if self.ledger.tip().height > height {
                self.poll_next(now);
            }
        }
        // Others have begun the next height: so does this one, at once.
        self.poll_next(now);
        Ok(())
    }

    /// A word that the core took: others may need it, and it may tell where they stand.
    fn taken(&mut self, now: Now, from: PeerId, word: Word) {
        let next = self.ledger.tip().height.next();
        let height = word.height();
        if height > next.next() {
            return self.ask_status(now, from);
        }
        if !self.is_worth_passing_on(&word, next) {
            return;
        }
        if height == next {
            self.begun_by_others = Some(height);
        }
        self.heard.note(&word);
        self.relay.push(now.uptime, from, word);
    }

    /// Whether a word that the core took is kept for others. The core takes words of heights that
    /// do not run without asking who signed them, and polkas without a look at them: what anybody
    /// can make must not fill the memory here, nor the links behind.
    fn is_worth_passing_on(&self, word: &Word, next: Height) -> bool {
        let validators = &self.ledger.in_charge().validators;
        match word {
            Word::Statement(signed) if word.height() == next => {
                validators.position(&signed.statement().signer()).is_some()
            }
            Word::Statement(signed) => self.is_of_a_near_set(&signed.statement().signer()),
            Word::Polka(_) if self.running == Some(word.height()) => true,
            Word::Polka(polka) => {
                polka.height == next && polka.verify(self.ledger.chain(), validators)
            }
        }
    }

    /// Whether a peer may have passed on in good faith what is refused here. One block behind or
    /// ahead it counts on another set; and while it does not run the height itself, it cannot see
    /// what else is wrong with the words of a validator: whoever signed them is to blame.
    fn in_good_faith(&self, refusal: &Refused, word: &Word) -> bool {
        match (refusal, word) {
            (Refused::UnknownSigner(signer), _) => self.is_of_a_near_set(signer),
            (
                Refused::NotTheProposer(_) | Refused::PolkaNotBefore(_) | Refused::AbsurdRound(_),
                Word::Statement(signed),
            ) => {
                self.is_of_a_near_set(&signed.statement().signer())
                    && signed.verify(self.ledger.chain())
            }
            _ => false,
        }
    }

    /// Whether a key is in the set in charge, in the one before it, or in the one to come.
    fn is_of_a_near_set(&self, signer: &PublicKey) -> bool {
        let in_charge = self.ledger.in_charge();
        let near = [&in_charge.validators, &in_charge.decided_tip];
        near.iter().any(|set| set.position(signer).is_some())
            || self
                .ledger
                .view()
                .read_or_default::<Term>(Key::NextTerm)
                .is_ok_and(|term| term.seats.iter().any(|seat| seat.validator.signer == *signer))
    }

    /// Whether a word kept of the next height is of a validator in charge of it, and not of this
    /// one.
    pub(crate) fn is_of_another_validator(&self, word: &Word) -> bool {
        match word {
            Word::Statement(signed) => {
                let signer = signed.statement().signer();
                let is_in_charge = self.ledger.in_charge().validators.position(&signer).is_some();
                is_in_charge && self.own_seat() != Some(signer)
            }
            Word::Polka(_) => true,
        }
    }

    /// Asks where a peer stands, by telling it where this validator does.
    fn ask_status(&mut self, now: Now, from: PeerId) {
        let Some(peer) = self.peers.get_mut(from) else { return };
        peer.asks_later = peer.rested_at() > now.uptime;
        if !peer.asks_later {
            peer.asked_at = Some(now.uptime);
            self.tell_status(from, true);
        }
    }

    /// Asks those who spoke of heights far above while they were not to be asked again yet. Else
    /// who is behind when the last block is sealed would not hear of it before the next one.
    fn ask_rested(&mut self, now: Now) {
        let rested = |peer: &Peer| peer.asks_later && peer.rested_at() <= now.uptime;
        let peers = self.peers.iter().filter(|(_, peer)| rested(peer));
        for peer in peers.map(|(id, _)| id).collect::<Vec<_>>() {
            self.ask_status(now, peer);
        }
    }

    fn poll_next(&mut self, now: Now) {
        if self.running.is_none() && self.others_began() {
            self.poll(now);
        }
    }

    /// Whoever signs with the key held here, and says what this board did not, is another board.
    fn watch_own_key(&mut self, word: &Word) {
        let Word::Statement(signed) = word else { return };
        let statement = signed.statement();
        if self.own_seat() != Some(statement.signer()) || self.heard.has(signed) {
            return;
        }
        let last = self.card.guard.last();
        let own = last.is_some_and(|last| statement.mark() <= last.mark);
        if !own && self.doppelganger.is_none() && signed.verify(self.ledger.chain()) {
            let key = statement.signer();
            tracing::error!("{}", Stuck::Doppelganger(key));
            self.doppelganger = Some(key);
        }
    }

    /// Passes on what came from others, each peer what it does not know.
    pub(crate) fn flush_relay(&mut self, now: Now) {
        if self.relay.due.is_none_or(|due| due > now.uptime) {
            return;
        }
        self.relay.due = None;
        let words = core::mem::take(&mut self.relay.words);
        let peers: Vec<PeerId> = self.peers.peers.keys().copied().collect();
        for peer in peers {
            let unknown = words.iter().filter(|(known, _)| !known.contains(&peer));
            let unknown: Vec<Word> = unknown.map(|(_, word)| word.clone()).collect();
            for bundle in unknown.chunks(BUNDLE_WORDS) {
                self.send(To::Peer(peer), Message::Agreement(bundle.to_vec()));
            }
        }
    }

    fn hear_body(&mut self, now: Now, from: PeerId, block: Block) -> Result<(), Stuck> {
        let tip = self.ledger.tip().height;
        let height = block.header.height;
        // The next height, and the one after it, which others may have begun already.
        if height <= tip || height > tip.next().next() {
            return Ok(());
        }
        let id = block.header.id();
        if self.bodies.offer(from, id, block) { self.body_arrived(now, id) } else { Ok(()) }
    }

    /// Waits for a body, which may be on its way.
    pub(crate) fn await_body(&mut self, now: Now, height: Height, id: BlockId) {
        let ask_at = now.uptime.saturating_add(BODY_PATIENCE);
        self.bodies.await_body(Awaited { height, id, ask_at });
    }

    /// Asks for what was waited for in vain.
    pub(crate) fn ask_again(&mut self, now: Now) {
        let next = now.uptime.saturating_add(BODY_PATIENCE);
        for (height, block) in self.bodies.take_due(now.uptime, next) {
            self.send(To::All, Message::WantBody { height, block });
        }
        self.ask_rested(now);
        self.catch_up_late(now);
        self.healing_late(now);
    }

    fn give_body(&mut self, to: PeerId, height: Height, id: &BlockId) {
        let body = self.bodies.find(id).cloned().or_else(|| self.logged(height)?.1.of(id));
        if let Some(block) = body {
            self.send(To::Peer(to), Message::Body(Box::new(block)));
        }
    }

    /// The block of a height in the log.
    pub(crate) fn logged(&self, height: Height) -> Option<(usize, LoggedBlock)> {
        let record = match self.card.log.read(height) {
            Ok(record) => record?,
            Err(error) => {
                tracing::warn!("a block that a peer asked for: {error}");
                return None;
            }
        };
        match codec::decode(&record) {
            Ok(logged) => Some((record.len(), logged)),
            Err(error) => {
                tracing::warn!("the record at {height} that a peer asked for: {error}");
                None
            }
        }
    }

    fn hear_transactions(&mut self, now: Now, from: PeerId, raw: Vec<RawTransaction>) {
        let mut new: BTreeMap<TxId, Vec<u8>> = BTreeMap::new();
        let mut transactions = Vec::new();
        for RawTransaction(bytes) in raw {
            match Transaction::decode(self.ledger.chain(), &bytes) {
                Ok(transaction) if self.mempool.contains(&transaction.id()) => {}
                Ok(transaction) => {
                    new.insert(transaction.id(), bytes);
                    transactions.push(transaction);
                }
                Err(error) => {
                    self.outputs.push(Output::Misbehaved(from, error.to_string()));
                    return;
                }
            }
        }
        if transactions.is_empty() {
            return;
        }
        let outcomes = self.mempool.admit_all(&self.ledger, now.wall, transactions);
        self.report_dropped();
        let mut admitted = Vec::new();
        for outcome in outcomes {
            match outcome {
                Ok(id) => admitted.extend(new.remove(&id)),
                // An honest peer verified it. Everything else may have become so on the way.
                Err(error @ AdmissionError::Refused(Refusal::Signature)) => {
                    self.outputs.push(Output::Misbehaved(from, error.to_string()));
                }
                Err(error) => tracing::debug!("a transaction of a peer: {error}"),
            }
        }
        self.pass_on(To::AllBut(from), admitted);
    }

    /// Sends transactions on.
    pub(crate) fn pass_on(&mut self, to: To, transactions: Vec<Vec<u8>>) {
        if !transactions.is_empty() {
            let raw = transactions.into_iter().map(RawTransaction).collect();
            self.send(to, Message::Transactions(raw));
        }
    }
}

impl LoggedBlock {
    /// The block, if it is this one.
    fn of(self, id: &BlockId) -> Option<Block> {
        (self.certificate.block == *id).then_some(self.block)
    }
}
