//! The bytes of messages are those that `docs/protocol.md` says. Changing one takes a new protocol
//! version.

use goodwatt_chain::block::{Block, Certificate, Header, RawTransaction};
use goodwatt_chain::hash::{BlockId, ChainId, Digest32};
use goodwatt_chain::history::History;
use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::tree::StateSummary;
use goodwatt_chain::units::{Height, Round, UnixMillis};
use goodwatt_chain::vote::{Vote, VoteKind};
use goodwatt_consensus::{Message as Word, Polka, SignedStatement};
use goodwatt_validator::{LoggedBlock, Message, SealedHeader, StateAnswer, StateQuestion, Status};

const DOCUMENT: &str = include_str!("../../../docs/protocol.md");

fn digest(byte: u8) -> Digest32 {
    Digest32::new([byte; 32])
}

fn header() -> Header {
    Header {
        version: 1,
        chain: ChainId(digest(1)),
        height: Height::new(7),
        round: Round::new(0),
        parent: BlockId(digest(2)),
        time: UnixMillis::new(1_793_491_200_000),
        proposer: SigningKey::from_seed(&[3; 32]).public(),
        transactions_root: digest(4),
        transaction_count: 1,
        state_root: digest(5),
        history_root: digest(6),
        validators_hash: digest(7),
        next_validators_hash: digest(7),
        parent_certificate_hash: digest(0),
        reveal: None,
    }
}

fn certificate() -> Certificate {
    let block = header().id();
    let signatures = heapless::Vec::new();
    Certificate { height: Height::new(7), round: Round::new(0), block, signatures }
}

fn block() -> Block {
    let transactions = vec![RawTransaction(vec![9; 64])];
    Block { header: header(), parent_certificate: None, transactions }
}

fn vote() -> SignedStatement {
    let key = SigningKey::from_seed(&[3; 32]);
    let vote = Vote {
        height: Height::new(7),
        round: Round::new(0),
        kind: VoteKind::Precommit,
        block: None,
        signer: key.public(),
    };
    SignedStatement::Vote(vote.sign(&ChainId(digest(1)), &key))
}

fn polka() -> Polka {
    let (height, round, block) = (Height::new(7), Round::new(0), BlockId(digest(2)));
    Polka { height, round, block, prevotes: heapless::Vec::new() }
}

/// One of each; a kind that is added without one is found by [`name`].
fn messages() -> Vec<Message> {
    let (height, tip) = (Height::new(7), BlockId(digest(2)));
    let logged = LoggedBlock { certificate: certificate(), block: block() };
    let buckets = StateAnswer::Buckets {
        first: 3,
        end: 5,
        leaves: vec![(digest(8), vec![0, 1]), (digest(9), vec![2])],
    };
    let summary = StateAnswer::Summary {
        height,
        history: History::default(),
        buckets: StateSummary::default(),
    };
    vec![
        Message::Status(Status { height, tip, round: None, wants: false }),
        Message::Status(Status { height, tip, round: Some(Round::new(1)), wants: true }),
        Message::Agreement(vec![Word::Statement(vote())]),
        Message::Agreement(vec![Word::Polka(Box::new(polka()))]),
        Message::Body(Box::new(block())),
        Message::WantBody { height, block: tip },
        Message::Transactions(vec![RawTransaction(vec![9; 64])]),
        Message::WantBlocks { from: height, count: 32 },
        Message::Blocks(vec![logged]),
        Message::WantHeaders { from: height, count: 256 },
        Message::Headers(vec![SealedHeader { certificate: certificate(), header: header() }]),
        Message::WantState(StateQuestion::Summary),
        Message::WantState(StateQuestion::Buckets { height, first: 3, end: 131 }),
        Message::State(None),
        Message::State(Some(Box::new(summary))),
        Message::State(Some(Box::new(buckets))),
    ]
}

/// What the document calls it.
fn name(message: &Message) -> &'static str {
    match message {
        Message::Status(Status { wants: false, .. }) => "status",
        Message::Status(_) => "status.wants",
        Message::Agreement(words) => match words.first() {
            Some(Word::Polka(_)) => "agreement.polka",
            _ => "agreement.vote",
        },
        Message::Body(_) => "body",
        Message::WantBody { .. } => "want-body",
        Message::Transactions(_) => "transactions",
        Message::WantBlocks { .. } => "want-blocks",
        Message::Blocks(_) => "blocks",
        Message::WantHeaders { .. } => "want-headers",
        Message::Headers(_) => "headers",
        Message::WantState(StateQuestion::Summary) => "want-state.summary",
        Message::WantState(StateQuestion::Buckets { .. }) => "want-state.buckets",
        Message::State(None) => "state.none",
        Message::State(Some(answer)) => match **answer {
            StateAnswer::Summary { .. } => "state.summary",
            StateAnswer::Buckets { .. } => "state.buckets",
        },
    }
}

#[test]
fn messages_are_those_of_the_document() {
    let mut made = String::new();
    for message in messages() {
        let bytes = message.encode();
        assert_eq!(Message::decode(&bytes).as_ref(), Ok(&message), "{}", name(&message));
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        made.push_str(&format!("{} {hex}\n", name(&message)));
    }
    let said = DOCUMENT.split("```messages\n").nth(1).and_then(|rest| rest.split("```").next());
    assert_eq!(said, Some(made.as_str()), "the document has to say:\n{made}");
}

#[test]
fn the_document_names_the_first_byte_of_every_message() {
    for message in messages() {
        let kind = name(&message).split('.').next().unwrap_or_default();
        let row = format!("| {} | {kind} |", message.encode()[0]);
        assert!(DOCUMENT.contains(&row), "no row begins with {row:?}");
    }
}
