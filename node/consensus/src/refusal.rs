//! Why the core took no notice of an event.

use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};

/// An event that changed nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The height or round it belongs to is over.
    #[error("too late: its height or round is over")]
    Late,
    /// It says what is known already, or adds nothing to proof at hand.
    #[error("known already")]
    Known,
    /// Too far ahead of this node to be kept.
    #[error("too far ahead to be kept; catch up first")]
    TooFarAhead,
    /// The signer has no vote at this height.
    #[error("{0} is no validator of this height")]
    UnknownSigner(PublicKey),
    /// The signature is not the signer's.
    #[error("the signature is not the signer's")]
    BadSignature,
    /// Another validator proposes in this round.
    #[error("it is not the signer's turn to propose in {0}")]
    NotTheProposer(Round),
    /// A block cannot have been prevoted in the round it is proposed in, or later.
    #[error("the proposal for {0} claims prevotes of a round that is not before it")]
    PolkaNotBefore(Round),
    /// Positions, weight or signatures of a polka are wrong.
    #[error("the polka does not prove what it claims")]
    BadPolka,
    /// A round that no height will ever reach.
    #[error("{0} is beyond any that agreement reaches")]
    AbsurdRound(Round),
    /// A signature came back that was not asked for.
    #[error("not asked for: the caller has to answer requests with what they hold, once")]
    NotAsked,
    /// A height was to start that is not above all before it.
    #[error("{0} has been started or passed before; a restart needs a new core and its log")]
    HeightPassed(Height),
    /// A set without weight decides nothing.
    #[error("the validator set has no weight")]
    NoWeight,
    /// The engine refused what had been checked: a defect of this crate.
    #[error("the agreement engine refused a checked input; please report this with the log")]
    Engine,
}

/// Who is to blame for a refusal.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Blame {
    /// Nobody: messages cross, and networks repeat them.
    Nobody,
    /// The peer it came from, which passed on what it should have refused.
    Sender,
    /// This program: the shell around the core, or the core itself.
    Here,
}

impl Refusal {
    /// Who is to blame.
    #[must_use]
    pub const fn blame(&self) -> Blame {
        match self {
            Self::Late | Self::Known | Self::TooFarAhead => Blame::Nobody,
            Self::UnknownSigner(_)
            | Self::BadSignature
            | Self::NotTheProposer(_)
            | Self::PolkaNotBefore(_)
            | Self::BadPolka
            | Self::AbsurdRound(_) => Blame::Sender,
            Self::NotAsked | Self::HeightPassed(_) | Self::NoWeight | Self::Engine => Blame::Here,
        }
    }
}
