//! Frames: length of the payload (4 bytes, little-endian), kind (1 byte), payload.
//!
//! The length is held against the kind's limit before anything is allocated, and memory grows only
//! as bytes arrive.

use std::io;

use tokio::io::{AsyncRead, AsyncReadExt};

use super::kind::Kind;

/// Bytes before each payload.
pub(super) const HEADER_BYTES: usize = 5;
/// The first piece of memory for a payload; each further one doubles what is there.
const FIRST_PIECE: usize = 16 * 1024;

/// What stands before a payload.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Header {
    pub(super) kind: Kind,
    pub(super) len: u32,
}

/// A header that no node of this version sends.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum FrameFault {
    /// Another version's, or noise.
    #[error("a frame of the unknown kind {0}")]
    UnknownKind(u8),
    /// Longer than its kind may be.
    #[error("a frame of {len} bytes, and `{kind}` has at most {}", kind.bytes_max())]
    TooLong {
        /// What it says it is.
        kind: Kind,
        /// How long it says it is.
        len: u32,
    },
}

impl Header {
    /// Before `payload`, which is within its kind's limit.
    pub(super) fn encode(kind: Kind, payload: &[u8]) -> [u8; HEADER_BYTES] {
        let [a, b, c, d] = (payload.len() as u32).to_le_bytes();
        [a, b, c, d, kind as u8]
    }

    /// Reads one and checks its length.
    pub(super) fn parse(bytes: [u8; HEADER_BYTES]) -> Result<Self, FrameFault> {
        let [a, b, c, d, kind] = bytes;
        let len = u32::from_le_bytes([a, b, c, d]);
        let kind = Kind::from_byte(kind).ok_or(FrameFault::UnknownKind(kind))?;
        if len > kind.rule().max {
            return Err(FrameFault::TooLong { kind, len });
        }
        Ok(Self { kind, len })
    }
}

/// The first byte of the next header, for which one may wait for ever, or `None` at the end.
pub(super) async fn read_first(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Option<u8>> {
    let mut first = [0];
    Ok(if reader.read(&mut first).await? == 0 { None } else { Some(first[0]) })
}

/// The rest of a header.
pub(super) async fn read_rest(
    first: u8,
    reader: &mut (impl AsyncRead + Unpin),
) -> io::Result<[u8; HEADER_BYTES]> {
    let mut header = [first, 0, 0, 0, 0];
    reader.read_exact(&mut header[1..]).await?;
    Ok(header)
}

/// A payload of `len` bytes.
pub(super) async fn read_payload(
    reader: &mut (impl AsyncRead + Unpin),
    len: usize,
) -> io::Result<Vec<u8>> {
    let mut payload = Vec::new();
    while payload.len() < len {
        let left = len - payload.len();
        if payload.len() == payload.capacity() {
            payload.reserve_exact(left.min(payload.len().max(FIRST_PIECE)));
        }
        let room = left.min(payload.capacity() - payload.len()) as u64;
        if (&mut *reader).take(room).read_buf(&mut payload).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(payload)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_header_is_checked_before_anything_else() {
        let check = |bytes, want| assert_eq!(Header::parse(bytes), want, "{bytes:?}");
        check([0, 0, 0, 0, 2], Ok(Header { kind: Kind::Ping, len: 0 }));
        check([1, 0, 0, 0, 2], Err(FrameFault::TooLong { kind: Kind::Ping, len: 1 }));
        check([0, 0, 16, 0, 17], Ok(Header { kind: Kind::Block, len: 1 << 20 }));
        let long = FrameFault::TooLong { kind: Kind::Block, len: u32::MAX };
        check([255, 255, 255, 255, 17], Err(long));
        assert_eq!(
            long.to_string(),
            "a frame of 4294967295 bytes, and `block` has at most 1048576"
        );
        check([0, 0, 0, 0, 99], Err(FrameFault::UnknownKind(99)));
    }

    fn block_on<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().build().expect("a runtime").block_on(future)
    }

    #[test]
    fn memory_is_never_more_than_was_announced() {
        let check = |len: usize| {
            let sent = vec![7; len];
            let read = block_on(read_payload(&mut sent.as_slice(), len)).expect("all of it");
            assert_eq!(read, sent);
            assert_eq!(read.capacity(), len);
        };
        [0, 1, 16_383, 16_384, 16_385, 50_000, 1 << 20].into_iter().for_each(check);
        let cut = block_on(read_payload(&mut [0; 99].as_slice(), 100)).expect_err("cut");
        assert_eq!(cut.kind(), io::ErrorKind::UnexpectedEof);
    }

    proptest! {
        #[test]
        fn any_header_is_read_or_refused(bytes: [u8; HEADER_BYTES]) {
            if let Ok(header) = Header::parse(bytes) {
                prop_assert!(header.len as usize <= header.kind.bytes_max());
                let payload = vec![0; header.len as usize];
                prop_assert_eq!(Header::encode(header.kind, &payload), bytes);
            }
        }
    }
}
