//! What validators say to each other. A message travels as one frame of postcard.

use goodwatt_chain::block::{Block, Certificate, Header, RawTransaction};
use goodwatt_chain::codec::{self, DecodeError};
use goodwatt_chain::hash::BlockId;
use goodwatt_chain::history::History;
use goodwatt_chain::leaves::LeafKey;
use goodwatt_chain::tree::StateSummary;
use goodwatt_chain::units::{Height, Round};
use serde::{Deserialize, Serialize};

/// The longest message: a few full blocks.
pub const MESSAGE_BYTES_MAX: usize = 1 << 20;

/// Where a validator stands.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Status {
    /// Its last block.
    pub height: Height,
    /// The id of that block.
    pub tip: BlockId,
    /// The round of the height after it, if that is at work.
    pub round: Option<Round>,
    /// Whether it asks to be told what was said at that height.
    pub wants: bool,
}

/// What stands in the log for each height: the block, and who decided it.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct LoggedBlock {
    /// Who decided it.
    pub certificate: Certificate,
    /// The block.
    pub block: Block,
}

impl LoggedBlock {
    /// The id of the block.
    #[must_use]
    pub fn id(&self) -> BlockId {
        self.block.header.id()
    }
}

/// A block without its body: enough to know that it was decided, and what it commits to.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct SealedHeader {
    /// Who decided it.
    pub certificate: Certificate,
    /// Its header.
    pub header: Header,
}

impl SealedHeader {
    /// Reads what a record of a log begins with, be it a [`LoggedBlock`] or one of these; gives how
    /// many bytes that takes, too.
    ///
    /// # Errors
    /// When the record does not begin so.
    pub fn of_record(record: &[u8]) -> Result<(Self, usize), DecodeError> {
        let (sealed, rest) = codec::decode_front(record)?;
        Ok((sealed, record.len() - rest.len()))
    }
}

/// What of the state is asked for.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum StateQuestion {
    /// Of which height there is one, and the nodes of its buckets.
    Summary,
    /// Leaves of the state of a height, by bucket.
    Buckets {
        /// The height.
        height: Height,
        /// The first bucket.
        first: u16,
        /// The bucket after the last one.
        end: u16,
    },
}

/// A part of the state.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum StateAnswer {
    /// The state of the last snapshot.
    Summary {
        /// Its height.
        height: Height,
        /// The mountain range over all blocks up to it.
        history: History,
        /// The nodes of its buckets.
        buckets: StateSummary,
    },
    /// All leaves of some buckets, by rising key.
    Buckets {
        /// The first bucket.
        first: u16,
        /// The bucket after the last one, which may be less than was asked for.
        end: u16,
        /// Keys and encoded values.
        leaves: Vec<(LeafKey, Vec<u8>)>,
    },
}

/// One message.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub enum Message {
    /// Where the sender stands: when two meet, and when a round did not go well.
    Status(Status),
    /// Votes, proposals and proofs, as many as came together.
    Agreement(Vec<goodwatt_consensus::Message>),
    /// The body of a proposed block.
    Body(Box<Block>),
    /// Asks for the body of a block of this height.
    WantBody {
        /// Its height.
        height: Height,
        /// The block.
        block: BlockId,
    },
    /// Transactions that wait.
    Transactions(Vec<RawTransaction>),
    /// Asks for decided blocks from a height on.
    WantBlocks {
        /// The first.
        from: Height,
        /// How many at most.
        count: u16,
    },
    /// Decided blocks, one after another; none where the sender has none.
    Blocks(Vec<LoggedBlock>),
    /// Asks for decided headers from a height on.
    WantHeaders {
        /// The first.
        from: Height,
        /// How many at most.
        count: u16,
    },
    /// Decided headers, one after another; none where the sender has none.
    Headers(Vec<SealedHeader>),
    /// Asks for a part of the state.
    WantState(StateQuestion),
    /// A part of the state, or `None` where the sender has it not, or no longer.
    State(Option<Box<StateAnswer>>),
}

impl Message {
    /// The bytes of the frame.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        codec::encode(self)
    }

    /// Reads a frame.
    ///
    /// # Errors
    /// When it is too long, or not the canonical encoding of a message.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        codec::decode_within(bytes, MESSAGE_BYTES_MAX)
    }
}
