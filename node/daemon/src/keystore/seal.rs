//! Thirty-two secret bytes under a passphrase: Argon2id, then XChaCha20-Poly1305.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use zeroize::{Zeroize, Zeroizing};

use super::{FormatError, KeystoreError, Passphrase};

/// Length of a sealed secret: 32 bytes and a tag of 16.
pub(super) const SEALED: usize = 48;

/// What one guess at a passphrase costs.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct KdfCost {
    /// Memory in KiB.
    pub memory_kib: u32,
    /// Passes over that memory.
    pub passes: u32,
    /// Lanes that could run side by side; here they run one after another.
    pub lanes: u32,
}

impl KdfCost {
    /// 8 MiB, three passes, one lane: fits beside a validator held to 24 MB.
    pub const STANDARD: Self = Self { memory_kib: 8 * 1024, passes: 3, lanes: 1 };

    /// Refuses a cost that a hostile file could use to exhaust the board.
    pub(super) fn check(self) -> Result<(), FormatError> {
        let within = |field, found, min, max| {
            let fits = (min..=max).contains(&found);
            if fits { Ok(()) } else { Err(FormatError::CostOutOfBounds { field, found, min, max }) }
        };
        within("lanes", self.lanes, 1, 4)?;
        // Argon2 needs eight blocks of a KiB in each lane.
        within("memory_kib", self.memory_kib, 8 * self.lanes, 64 * 1024)?;
        within("passes", self.passes, 1, 16)
    }
}

/// How the key that seals the secret is made.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kdf {
    /// From a passphrase.
    Argon2id { cost: KdfCost, salt: [u8; 16] },
    /// It is 32 zero bytes: sealing then shows damage, but hides nothing.
    None,
}

/// Seals `secret`, bound to `header`.
pub(super) fn seal(
    secret: &[u8; 32],
    key: &Zeroizing<[u8; 32]>,
    nonce: &[u8; 24],
    header: &[u8],
) -> [u8; SEALED] {
    let payload = Payload { msg: secret.as_slice(), aad: header };
    let sealed = XChaCha20Poly1305::new((&**key).into())
        .encrypt(nonce.into(), payload)
        .expect("32 bytes are below the cipher's limit of 256 GiB, its only error");
    sealed.try_into().expect("32 bytes and a tag of 16 are 48 bytes")
}

/// Opens what [`seal`] made under the same key, nonce and header.
pub(super) fn open(
    sealed: &[u8; SEALED],
    key: &Zeroizing<[u8; 32]>,
    nonce: &[u8; 24],
    header: &[u8],
) -> Option<Zeroizing<[u8; 32]>> {
    let payload = Payload { msg: sealed.as_slice(), aad: header };
    let cipher = XChaCha20Poly1305::new((&**key).into());
    let opened = Zeroizing::new(cipher.decrypt(nonce.into(), payload).ok()?);
    let mut secret = Zeroizing::new([0; 32]);
    secret.copy_from_slice(&opened);
    Some(secret)
}

impl Kdf {
    /// The key that seals the secret.
    pub(super) fn key(
        &self,
        passphrase: Option<&Passphrase>,
    ) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
        match (self, passphrase) {
            (Self::None, _) => Ok(Zeroizing::new([0; 32])),
            (Self::Argon2id { .. }, None) => Err(KeystoreError::PassphraseNeeded),
            (Self::Argon2id { cost, salt }, Some(passphrase)) => stretch(*cost, salt, passphrase),
        }
    }
}

/// Argon2id, version 1.3, in memory of our own that is wiped afterwards.
fn stretch(
    cost: KdfCost,
    salt: &[u8; 16],
    passphrase: &Passphrase,
) -> Result<Zeroizing<[u8; 32]>, KeystoreError> {
    let out_of_memory = |_| KeystoreError::OutOfMemory { memory_kib: cost.memory_kib };
    let params = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(32))
        .expect("the bounds of KdfCost::check lie within Argon2's");
    let mut memory: Vec<Block> = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(out_of_memory)?;
    memory.resize(params.block_count(), Block::new());
    let mut key = Zeroizing::new([0; 32]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into_with_memory(
            passphrase.as_bytes(),
            salt,
            key.as_mut_slice(),
            memory.as_mut_slice(),
        )
        .expect("salt, output and memory have the sizes asked for above");
    memory.zeroize();
    Ok(key)
}
