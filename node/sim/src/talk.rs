//! What goes into a board and comes out of it, and the messages between boards.

use std::sync::Arc;

use goodwatt_consensus::Message as Word;
use goodwatt_units::Millis;
use goodwatt_validator::{Message, Output, PeerId, SealedBlock, Signers, To};

use crate::check::Violation;
use crate::world::{Event, World};

impl World<'_> {
    pub(crate) fn deliver(&mut self, from: usize, to: usize, message: &Message) {
        let now = self.boards[to].now(self.time);
        if let Some(own) = &mut self.boards[to].validator {
            // As it comes off a wire.
            let bytes = message.encode();
            match Message::decode(&bytes) {
                Ok(message) => own.receive(now, PeerId(from as u64), message),
                Err(error) => self.check.violations.push(Violation::Blamed {
                    by: to,
                    why: format!("a message of {from}: {error}"),
                }),
            }
        }
        self.settle(to);
    }

    pub(crate) fn poll(&mut self, node: usize) {
        let now = self.boards[node].now(self.time);
        if let Some(own) = &mut self.boards[node].validator {
            own.poll(now);
        }
        self.settle(node);
    }

    /// Carries out what came of something at a board, until nothing more does.
    pub(crate) fn settle(&mut self, node: usize) {
        for _ in 0..1_000 {
            if self.boards[node].disk.is_crashed() {
                return self.lose_power(node);
            }
            let now = self.boards[node].now(self.time);
            let Some(own) = &mut self.boards[node].validator else { return };
            let outputs = own.take_outputs();
            let done = outputs.is_empty();
            for output in outputs {
                self.carry_out(node, output);
            }
            let Some(own) = &mut self.boards[node].validator else { return };
            own.checkpoint_in_time(now);
            match own.sleep(now) {
                Some(sleep) if sleep == Millis::new(0) => own.poll(now),
                sleep if done => {
                    self.tokens[node] += 1;
                    if let Some(sleep) = sleep {
                        let token = self.tokens[node];
                        let wake = self.boards[node].world_time(now.uptime.saturating_add(sleep));
                        self.at(wake, Event::Wake { node, token });
                    }
                    return;
                }
                _ => {}
            }
        }
        self.check.violations.push(Violation::NoProgress {
            heights: vec![self.boards[node].height().get()],
            stuck: vec![format!("{node} is always due: {}", self.boards[node].describe())],
        });
    }

    fn carry_out(&mut self, node: usize, output: Output) {
        match output {
            Output::Send(to, message) => self.send(node, to, &message),
            Output::Sealed(block) => self.sealed(node, &block),
            Output::Dropped(id, _) => drop(self.submitted.remove(&id)),
            Output::StateWanted(..) => {}
            Output::Misbehaved(peer, why) => {
                if !self.is_liar(peer.0 as usize) {
                    let why = format!("{} for: {why}", peer.0);
                    self.check.violations.push(Violation::Blamed { by: node, why });
                }
            }
        }
    }

    fn sealed(&mut self, node: usize, block: &SealedBlock) {
        self.check.sealed(node, block.height, block.id);
        if self.proposers.insert(block.height, block.proposer).is_none() {
            self.first_sealed(node, block);
        }
        self.boards[node].sealed = self.boards[node].sealed.max(block.height);
        for id in &block.transactions {
            if let Some((_, since)) = self.submitted.get(id).copied().filter(|(at, _)| *at == node)
            {
                self.submitted.remove(id);
                self.finality.push(self.time.saturating_sub(since).get());
            }
        }
    }

    /// A block is on a card for the first time.
    fn first_sealed(&mut self, node: usize, block: &SealedBlock) {
        self.check_outage(node, block);
        let Some(own) = &self.boards[node].validator else { return };
        let tip = own.ledger().tip().height;
        // Of several blocks at once the state between them is not seen.
        if tip == block.height {
            let found = self.admissions.follow(own.ledger());
            self.check.violations.extend(found);
            let in_charge = own.ledger().in_charge();
            self.sets += u64::from(block.begins_epoch && !in_charge.carried_on);
        }
    }

    fn send(&mut self, from: usize, to: To, message: &Arc<Message>) {
        if let Message::Agreement(words) = message.as_ref()
            && !self.is_liar(from)
        {
            for word in words {
                if let Word::Statement(signed) = word
                    && self.boards[from].keys.holds(&signed.statement().signer())
                {
                    self.check.said(from, signed);
                }
            }
        }
        let peers = self.network.neighbours(from);
        let but = match to {
            To::Peer(_) | To::All => None,
            To::AllBut(peer) => Some(peer.0),
        };
        for peer in peers {
            let meant = match to {
                To::Peer(one) => one.0 == peer as u64,
                To::All | To::AllBut(_) => but != Some(peer as u64),
            };
            if meant {
                let message = self.lie(from, peer, message);
                self.post(from, peer, message);
            }
        }
    }

    pub(crate) fn post(&mut self, from: usize, to: usize, message: Arc<Message>) {
        let lossy = self.faulty && self.scenario.faults.loss && self.dice.once_in(8);
        let late = if lossy { 200 + self.dice.below(1_500) } else { 0 };
        if let Some((time, generation)) = self.network.send(from, to, self.time, Millis::new(late))
        {
            self.at(time, Event::Deliver { from, to, generation, message });
        }
    }
}
