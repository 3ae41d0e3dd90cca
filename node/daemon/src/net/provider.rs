//! The cryptography that TLS is given: keys and key exchange on the curve code that the ledger uses
//! anyway, and one AEAD of ring's. With ring's own curve code the daemon would be larger by it.

use std::sync::Arc;

use curve25519_dalek::MontgomeryPoint;
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};
use rustls::crypto::ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256;
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, KeyProvider, SecureRandom, SharedSecret,
    SupportedKxGroup, WebPkiSupportedAlgorithms,
};
use rustls::pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use rustls::sign::{Signer, SigningKey as TlsSigningKey};
use rustls::{Error as TlsError, NamedGroup, PeerMisbehaved, SignatureAlgorithm, SignatureScheme};
use zeroize::Zeroizing;

/// What stands before the 32 bytes of an Ed25519 public key in DER (RFC 8410, section 4).
const PUBLIC_PREFIX: &[u8; 12] = b"\x30\x2a\x30\x05\x06\x03\x2b\x65\x70\x03\x21\x00";

/// One suite, one group, one kind of key: what is not named here is not linked in. The chips of
/// most boards have no AES instructions, and on those that have them a link to other homes is
/// slower than either cipher.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        cipher_suites: vec![TLS13_CHACHA20_POLY1305_SHA256],
        kx_groups: vec![&X25519],
        // For certificates, which are not taken.
        signature_verification_algorithms: WebPkiSupportedAlgorithms { all: &[], mapping: &[] },
        secure_random: &System,
        key_provider: &System,
    }
}

/// A public key as a raw public key shows it.
pub(super) fn show_key(key: &[u8; 32]) -> Vec<u8> {
    [PUBLIC_PREFIX, &key[..]].concat()
}

/// The Ed25519 key in a raw public key.
pub(super) fn read_key(shown: &[u8]) -> Option<[u8; 32]> {
    shown.strip_prefix(PUBLIC_PREFIX)?.try_into().ok()
}

/// Whether `signature` is `key`'s over `message`. Strict: keys of small order sign nothing.
pub(super) fn is_signed(key: &[u8; 32], message: &[u8], signature: &[u8]) -> bool {
    let Ok(key) = VerifyingKey::from_bytes(key) else { return false };
    let Ok(signature) = Signature::from_slice(signature) else { return false };
    key.verify_strict(message, &signature).is_ok()
}

/// The system's random numbers; keys do not come from files here.
#[derive(Debug)]
struct System;

impl SecureRandom for System {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        getrandom::fill(buffer).map_err(|_| GetRandomFailed)
    }
}

impl KeyProvider for System {
    fn load_private_key(
        &self,
        _: PrivateKeyDer<'static>,
    ) -> Result<Arc<dyn TlsSigningKey>, TlsError> {
        Err(TlsError::General("keys are not read from DER here".to_owned()))
    }
}

/// This node's key, as TLS uses it.
#[derive(Clone, Debug)]
pub(super) struct TransportSigner(Arc<SigningKey>);

impl TransportSigner {
    pub(super) fn from_seed(seed: &[u8; 32]) -> Self {
        Self(Arc::new(SigningKey::from_bytes(seed)))
    }
}

impl TlsSigningKey for TransportSigner {
    fn choose_scheme(&self, offered: &[SignatureScheme]) -> Option<Box<dyn Signer>> {
        offered.contains(&SignatureScheme::ED25519).then(|| Box::new(self.clone()) as _)
    }

    fn public_key(&self) -> Option<SubjectPublicKeyInfoDer<'_>> {
        Some(show_key(self.0.verifying_key().as_bytes()).into())
    }

    fn algorithm(&self) -> SignatureAlgorithm {
        SignatureAlgorithm::ED25519
    }
}

impl Signer for TransportSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, TlsError> {
        Ok(self.0.sign(message).to_bytes().to_vec())
    }

    fn scheme(&self) -> SignatureScheme {
        SignatureScheme::ED25519
    }
}

/// Diffie and Hellman's exchange on Curve25519 (RFC 7748).
#[derive(Debug)]
struct X25519;

impl SupportedKxGroup for X25519 {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, TlsError> {
        let mut secret = Zeroizing::new([0; 32]);
        getrandom::fill(secret.as_mut_slice()).map_err(|_| TlsError::FailedToGetRandomBytes)?;
        Ok(Box::new(Exchange::new(secret)))
    }

    fn name(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

struct Exchange {
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl Exchange {
    fn new(secret: Zeroizing<[u8; 32]>) -> Self {
        let public = MontgomeryPoint::mul_base_clamped(*secret).to_bytes();
        Self { secret, public }
    }
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, TlsError> {
        let invalid = TlsError::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        let Ok(peer) = <[u8; 32]>::try_from(peer) else { return Err(invalid) };
        let shared = Zeroizing::new(MontgomeryPoint(peer).mul_clamped(*self.secret).to_bytes());
        // RFC 8446, section 7.4.2: a point of small order gives nothing but zeros.
        let any = shared.iter().fold(0, |any, byte| any | byte);
        if any == 0 { Err(invalid) } else { Ok(SharedSecret::from(&shared[..])) }
    }

    fn pub_key(&self) -> &[u8] {
        &self.public
    }

    fn group(&self) -> NamedGroup {
        NamedGroup::X25519
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    fn bytes(text: &str) -> [u8; 32] {
        hex::decode(text).expect("hexadecimal").try_into().expect("32 bytes")
    }

    /// The vectors of RFC 7748, section 6.1, seen by Bob.
    #[test]
    fn an_exchange_is_that_of_the_rfc() {
        let secret = bytes("5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb");
        let public = bytes("de9edb7d7b7dc1b4d35b61c2ece435373f8343c85b78674dadfc7e146f882b4f");
        let alice = bytes("8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a");
        let shared = bytes("4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742");
        let exchange = Box::new(Exchange::new(Zeroizing::new(secret)));
        assert_eq!(exchange.pub_key(), public);
        assert_eq!(exchange.complete(&alice).expect("a point").secret_bytes(), shared);
    }

    #[test]
    fn a_point_of_small_order_is_refused() {
        let refused = |peer: &[u8]| {
            let exchange = X25519.start().expect("random numbers");
            exchange.complete(peer).is_err()
        };
        assert!(refused(&[0; 32]));
        let mut one = [0; 32];
        one[0] = 1;
        assert!(refused(&one));
        assert!(refused(&[9; 31]) && refused(&[]));
        assert!(!refused(&[9; 32]));
    }

    /// The first vector of RFC 8032, section 7.1.
    #[test]
    fn signatures_are_those_of_the_rfc() {
        let seed = bytes("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60");
        let public = bytes("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
        let signer = TransportSigner::from_seed(&seed);
        let shown = signer.public_key().expect("it has one");
        assert_eq!(read_key(&shown), Some(public));
        let signature = signer.sign(b"").expect("it signs");
        assert!(is_signed(&public, b"", &signature));
        assert!(!is_signed(&public, b"x", &signature));
        assert!(!is_signed(&public, b"", &signature[1..]));
        assert!(!is_signed(&[0; 32], b"", &signature));
        assert_eq!(read_key(&shown[1..]), None);
        assert!(signer.choose_scheme(&[SignatureScheme::RSA_PSS_SHA256]).is_none());
    }
}
