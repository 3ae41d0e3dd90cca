//! TLS 1.3 with raw public keys both ways (RFC 7250): no certificates, no dates, no names.
//!
//! A board whose clock says 1970 connects like any other: the only time rustls is given is the
//! time since the start, for the age of session tickets. Chain and protocol version are told in
//! ALPN, so that a stranger is refused before anything of ours is decoded.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use goodwatt_chain::hash::ChainId;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{AlwaysResolvesClientRawPublicKeys, Resumption};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{AlwaysResolvesServerRawPublicKeys, ServerSessionMemoryCache};
use rustls::sign::CertifiedKey;
use rustls::time_provider::TimeProvider;
use rustls::version::TLS13;
use rustls::{
    AlertDescription, CertificateError, ClientConfig, DigitallySignedStruct, DistinguishedName,
    Error as TlsError, ServerConfig, SignatureScheme,
};
use tokio::net::TcpStream;
use tokio_rustls::{LazyConfigAcceptor, TlsConnector, TlsStream};

use super::identity::{PeerId, TransportKey};
use super::provider::{TransportSigner, is_signed, provider, read_key, show_key};
use crate::hex;

/// Sessions kept for resumption on each side: a node has at most this many neighbours.
const SESSIONS_MAX: usize = 64;
/// The longest protocol name of a stranger that is shown.
const SHOWN_MAX: usize = 96;

/// A connection on which both ends have proven their keys.
pub(super) type Stream = TlsStream<TcpStream>;

/// Why there was no handshake.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsFault {
    /// It asked for another chain or version; only who accepts sees what.
    #[error("it asks for `{theirs}` and this node speaks `{ours}`: {}", difference(theirs, ours))]
    Foreign { theirs: String, ours: String },
    /// It refused our chain or version, without saying what it speaks.
    #[error(
        "it does not speak `{ours}`: it is of another chain or another protocol version; compare \
         genesis files and versions"
    )]
    RefusedUs { ours: String },
    /// What came is not TLS.
    #[error("what it sends is not TLS: something else listens or calls there")]
    NotTls,
    /// The connection broke first.
    #[error("the connection broke during the handshake: {0}")]
    Broken(io::Error),
    /// TLS, but not as it has to be.
    #[error("the handshake failed: {0}")]
    Refused(TlsError),
    /// It showed no Ed25519 key.
    #[error("it shows no Ed25519 key: it is no Goodwatt node")]
    NoKey,
}

/// The part in which two protocol names differ.
fn difference(theirs: &str, ours: &str) -> &'static str {
    let parts = |name: &str| -> Vec<String> { name.split('/').map(str::to_owned).collect() };
    match (parts(theirs).as_slice(), parts(ours).as_slice()) {
        ([name, ..], [our_name, ..]) if name != our_name => "it is no Goodwatt node",
        ([_, version, ..], [_, our_version, ..]) if version != our_version => {
            "another protocol version; update the older of the two"
        }
        _ => "another chain; compare the genesis files",
    }
}

/// Both sides' settings, made once.
pub(super) struct Tls {
    connector: TlsConnector,
    server: Arc<ServerConfig>,
    protocol: Vec<u8>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tls for {}", self.protocol_name())
    }
}

/// `goodwatt/VERSION/CHAIN`, as ALPN carries it.
pub(super) fn protocol_name(version: u16, chain: &ChainId) -> String {
    format!("goodwatt/{version}/{}", hex::encode(chain.as_bytes()))
}

impl Tls {
    /// Settings for a key and a chain.
    pub(super) fn new(key: &TransportKey, protocol: &str) -> Result<Self, TlsError> {
        let shown = CertificateDer::from(show_key(key.id().as_bytes()));
        let signer = Arc::new(TransportSigner::from_seed(key.seed()));
        let certified = Arc::new(CertifiedKey::new(vec![shown], signer));
        let provider = Arc::new(provider());
        let time = Arc::new(SinceStart(Instant::now()));
        let protocols = vec![protocol.as_bytes().to_vec()];

        let mut client = ClientConfig::builder_with_details(provider.clone(), time.clone())
            .with_protocol_versions(&[&TLS13])?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(AnyNode))
            .with_client_cert_resolver(Arc::new(AlwaysResolvesClientRawPublicKeys::new(
                certified.clone(),
            )));
        client.alpn_protocols.clone_from(&protocols);
        client.enable_sni = false;
        client.resumption = Resumption::in_memory_sessions(SESSIONS_MAX);

        let mut server = ServerConfig::builder_with_details(provider, time)
            .with_protocol_versions(&[&TLS13])?
            .with_client_cert_verifier(Arc::new(AnyNode))
            .with_cert_resolver(Arc::new(AlwaysResolvesServerRawPublicKeys::new(certified)));
        server.alpn_protocols = protocols;
        server.session_storage = ServerSessionMemoryCache::new(SESSIONS_MAX);
        server.send_tls13_tickets = 1;

        let protocol = protocol.as_bytes().to_vec();
        Ok(Self { connector: Arc::new(client).into(), server: Arc::new(server), protocol })
    }

    /// Shakes hands with whom this node called.
    pub(super) async fn connect(
        &self,
        socket: TcpStream,
        remote: SocketAddr,
    ) -> Result<(Stream, PeerId), TlsFault> {
        let stream = self.connector.connect(session_name(remote), socket).await;
        self.proven(TlsStream::Client(stream.map_err(|error| self.fault(error))?))
    }

    /// Shakes hands with who called.
    pub(super) async fn accept(&self, socket: TcpStream) -> Result<(Stream, PeerId), TlsFault> {
        let acceptor = LazyConfigAcceptor::new(rustls::server::Acceptor::default(), socket);
        let start = acceptor.await.map_err(|error| self.fault(error))?;
        let foreign = self.foreign(start.client_hello().alpn());
        // rustls tells the caller by an alert that it has no such protocol.
        let stream = start.into_stream(Arc::clone(&self.server)).await;
        match (stream, foreign) {
            (Ok(stream), None) => self.proven(TlsStream::Server(stream)),
            (_, Some(fault)) => Err(fault),
            (Err(error), None) => Err(self.fault(error)),
        }
    }

    /// What a caller wants, if that is not ours.
    fn foreign<'a>(&self, offered: Option<impl Iterator<Item = &'a [u8]>>) -> Option<TlsFault> {
        let mut offered: Vec<&[u8]> =
            offered.map_or_else(Vec::new, |names| names.take(8).collect());
        if offered.contains(&self.protocol.as_slice()) {
            return None;
        }
        let first = offered.drain(..).next().unwrap_or(b"nothing");
        let theirs = String::from_utf8_lossy(first).chars().take(SHOWN_MAX).collect();
        Some(TlsFault::Foreign { theirs, ours: self.protocol_name() })
    }

    /// The key at the other end, on a connection that speaks our protocol.
    fn proven(&self, stream: Stream) -> Result<(Stream, PeerId), TlsFault> {
        let (_, connection) = stream.get_ref();
        if connection.alpn_protocol() != Some(&self.protocol) {
            return Err(TlsFault::RefusedUs { ours: self.protocol_name() });
        }
        let key = connection.peer_certificates().and_then(|keys| read_key(keys.first()?));
        Ok((stream, PeerId::from_bytes(key.ok_or(TlsFault::NoKey)?)))
    }

    fn protocol_name(&self) -> String {
        String::from_utf8_lossy(&self.protocol).into_owned()
    }

    fn fault(&self, error: io::Error) -> TlsFault {
        let Some(cause) = error.get_ref().and_then(|cause| cause.downcast_ref::<TlsError>()) else {
            return TlsFault::Broken(error);
        };
        match cause {
            TlsError::NoApplicationProtocol
            | TlsError::AlertReceived(AlertDescription::NoApplicationProtocol) => {
                TlsFault::RefusedUs { ours: self.protocol_name() }
            }
            TlsError::InvalidMessage(_) => TlsFault::NotTls,
            cause => TlsFault::Refused(cause.clone()),
        }
    }
}

/// The name under which a session with `remote` is kept; it is never sent.
fn session_name(remote: SocketAddr) -> ServerName<'static> {
    let address = match remote.ip() {
        IpAddr::V4(ip) => hex::encode(&ip.octets()),
        IpAddr::V6(ip) => hex::encode(&ip.octets()),
    };
    let name = format!("a{address}.p{}", remote.port());
    // Letters and digits of known length; and an address would do as well.
    ServerName::try_from(name).unwrap_or_else(|_| ServerName::from(remote.ip()))
}

/// Time that no clock can set back.
#[derive(Debug)]
struct SinceStart(Instant);

impl TimeProvider for SinceStart {
    fn current_time(&self) -> Option<UnixTime> {
        // A day more than nothing, as ages are subtracted from it.
        let day = Duration::from_secs(86_400);
        Some(UnixTime::since_unix_epoch(self.0.elapsed() + day))
    }
}

/// Takes every Ed25519 key: who is welcome is decided when it is known who it is.
#[derive(Debug)]
struct AnyNode;

impl AnyNode {
    fn check_key(shown: &CertificateDer<'_>) -> Result<[u8; 32], TlsError> {
        read_key(shown).ok_or(TlsError::InvalidCertificate(CertificateError::BadEncoding))
    }

    fn check_signature(
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        let key = Self::check_key(shown)?;
        let sound = signed.scheme == SignatureScheme::ED25519
            && is_signed(&key, message, signed.signature());
        let bad = TlsError::InvalidCertificate(CertificateError::BadSignature);
        if sound { Ok(HandshakeSignatureValid::assertion()) } else { Err(bad) }
    }

    fn old_version() -> TlsError {
        TlsError::General("TLS 1.2 is not spoken here".to_owned())
    }
}

impl ServerCertVerifier for AnyNode {
    fn verify_server_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, TlsError> {
        Self::check_key(shown).map(|_| ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(Self::old_version())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Self::check_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}

impl ClientCertVerifier for AnyNode {
    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        &[]
    }

    fn verify_client_cert(
        &self,
        shown: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: UnixTime,
    ) -> Result<ClientCertVerified, TlsError> {
        Self::check_key(shown).map(|_| ClientCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Err(Self::old_version())
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        shown: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, TlsError> {
        Self::check_signature(message, shown, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ED25519]
    }

    fn requires_raw_public_keys(&self) -> bool {
        true
    }
}
