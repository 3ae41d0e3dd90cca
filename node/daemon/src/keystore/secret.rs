//! Thirty-two secret bytes: the owner's root, and the seeds of signing keys.

use std::fmt;

use goodwatt_chain::hash::{Digest32, Domain};
use zeroize::Zeroizing;

use super::KeystoreError;

/// Tag of the path from the root to an account; part of the format, so it never changes.
const ACCOUNT: Domain = Domain::new(b"goodwatt/key/account");

/// Declares thirty-two secret bytes of one kind, never printed and wiped when dropped.
macro_rules! secret {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// Kept on the heap, so that moving it leaves no copy behind; wiped when dropped.
        pub struct $name(Box<Zeroizing<[u8; 32]>>);

        impl $name {
            /// From its bytes; the caller wipes its own copy.
            #[must_use]
            pub fn from_bytes(bytes: &[u8; 32]) -> Self {
                let mut secret = Box::new(Zeroizing::new([0; 32]));
                secret.copy_from_slice(bytes);
                Self(secret)
            }

            /// A fresh one from the random numbers of the operating system.
            ///
            /// # Errors
            /// [`KeystoreError::Randomness`] where the system gives none.
            pub fn generate() -> Result<Self, KeystoreError> {
                let mut secret = Box::new(Zeroizing::new([0; 32]));
                getrandom::fill(secret.as_mut_slice()).map_err(KeystoreError::Randomness)?;
                Ok(Self(secret))
            }

            /// Its bytes.
            #[must_use]
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(concat!(stringify!($name), "(hidden)"))
            }
        }
    };
}

secret!(
    /// What an owner's account keys are derived from, and what the 24 words write down.
    RootSecret);
secret!(
    /// What one Ed25519 signing key is made from.
    Seed);

impl RootSecret {
    /// The seed of account `index`; the usual account is number 0.
    ///
    /// It is SHA-256 over the length of the tag `goodwatt/key/account` in one byte, the tag, the
    /// 32 bytes of the root, and the index as four bytes, most significant first. One seed tells
    /// nothing about the root or about another seed.
    #[must_use]
    pub fn account_seed(&self, index: u32) -> Seed {
        let digest = Digest32::of(ACCOUNT, &[self.as_bytes(), &index.to_be_bytes()]);
        Seed::from_bytes(digest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    #[test]
    fn account_seeds_follow_the_documented_path() {
        // Computed with Python's hashlib from the sentence in the documentation above.
        let check = |root: u8, index, want: &str| {
            let seed = RootSecret::from_bytes(&[root; 32]).account_seed(index);
            assert_eq!(hex::encode(seed.as_bytes()), want, "root {root:02x}.., index {index}");
        };
        check(0, 0, "2e59fbe589ddaf8b1044a1812661fead4adf91beaec63113aaeb1c590bed05b3");
        check(0, 1, "c11ddd37d218d68e46538fdc25d5e8e79ed13c024356974b2aafa2301aa7702d");
        check(0xff, u32::MAX, "c63d52ced35e68a3955ee7fdfebe1ae672c970bc9a28f30539e8e0713443a85f");
    }

    #[test]
    fn nothing_secret_is_printed() {
        let root = RootSecret::from_bytes(&[0xab; 32]);
        assert_eq!(
            format!("{root:?} {:?}", root.account_seed(0)),
            "RootSecret(hidden) Seed(hidden)"
        );
    }

    #[test]
    fn fresh_secrets_differ() {
        let fresh = || RootSecret::generate().expect("the system has random numbers");
        assert_ne!(fresh().as_bytes(), fresh().as_bytes());
    }
}
