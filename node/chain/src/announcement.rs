//! A slot key's word that a node's connections are those of its validator.
//!
//! It is no vote: its domain tag is its own, and it says nothing of any height. So it may be
//! signed as often as needed, and the signing guard has no part in it. Whoever copies one gains
//! nothing, as it names the node that may show it.

use serde::{Deserialize, Serialize};

use crate::hash::{ChainId, Digest32, Domain};
use crate::signature::{PublicKey, Signature, SigningKey, verify};

const SIGN_ANNOUNCEMENT: Domain = Domain::new(b"goodwatt/sign/announcement");

/// Binds the key of a node's connections to a slot key.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Announcement {
    /// The slot key.
    pub signer: PublicKey,
    /// Its signature over [`Self::digest`].
    pub signature: Signature,
}

impl Announcement {
    /// What the slot key signs: the chain, the public half of the node's transport key, itself.
    #[must_use]
    pub fn digest(chain: &ChainId, node: &[u8; 32], signer: &PublicKey) -> Digest32 {
        Digest32::of(SIGN_ANNOUNCEMENT, &[chain.as_bytes(), node, signer.as_bytes()])
    }

    /// The word of `key` that `node` is its node.
    #[must_use]
    pub fn sign(chain: &ChainId, node: &[u8; 32], key: &SigningKey) -> Self {
        let signer = key.public();
        Self { signer, signature: key.sign(&Self::digest(chain, node, &signer)) }
    }

    /// Whether the slot key said this of `node`.
    #[must_use]
    pub fn verify(&self, chain: &ChainId, node: &[u8; 32]) -> bool {
        verify(&self.signer, &Self::digest(chain, node, &self.signer), &self.signature)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Height, Round};
    use crate::vote::{Vote, VoteKind};

    const NODE: [u8; 32] = [7; 32];

    #[test]
    fn it_binds_one_node_of_one_chain_to_one_key() {
        let (chain, other_chain) = (ChainId::default(), ChainId(Digest32::new([1; 32])));
        let key = SigningKey::from_seed(&[3; 32]);
        let word = Announcement::sign(&chain, &NODE, &key);
        assert!(word.verify(&chain, &NODE));
        assert!(!word.verify(&chain, &[8; 32]), "another node");
        assert!(!word.verify(&other_chain, &NODE), "another chain");
        let signer = SigningKey::from_seed(&[4; 32]).public();
        assert!(!Announcement { signer, ..word }.verify(&chain, &NODE), "another key");
    }

    #[test]
    fn it_is_never_taken_for_a_vote() {
        let chain = ChainId::default();
        let key = SigningKey::from_seed(&[3; 32]);
        let vote = Vote {
            kind: VoteKind::Precommit,
            height: Height::new(1),
            round: Round::ZERO,
            block: None,
            signer: key.public(),
        };
        let signed = vote.sign(&chain, &key);
        let word = Announcement { signer: key.public(), signature: signed.signature };
        assert!(!word.verify(&chain, &NODE));
        let said = Announcement::sign(&chain, &NODE, &key);
        let forged = crate::vote::SignedVote { vote, signature: said.signature };
        assert!(!forged.verify(&chain));
    }
}
