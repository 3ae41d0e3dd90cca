//! A TPM 2.0: a key that never leaves it, and that answers with a MAC over the purpose.
//!
//! Three commands, written out here (TPM 2.0 Library, part 3): `TPM2_CreatePrimary` makes an HMAC
//! key from the owner's seed, the same each time; `TPM2_HMAC` uses it; `TPM2_FlushContext` takes it
//! out again. Nothing is stored, neither in the TPM nor on the card, and `tpm2_clear` ends it.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::FileTypeExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::{DeviceError, DeviceSecret};

/// The kernel's resource manager: several programs at once, nothing left behind.
const DEVICE: &str = "/dev/tpmrm0";
/// Most bytes of an answer: what the kernel gives (`TPM_BUFSIZE`).
const ANSWER_MAX: usize = 4_096;
/// How long a TPM behind a socket may think; the kernel has bounds of its own for a real one.
const PATIENCE: Duration = Duration::from_secs(10);

/// Tags: with a session, and without (`TPM_ST`).
const SESSIONS: u16 = 0x8002;
const NO_SESSIONS: u16 = 0x8001;
/// Commands (`TPM_CC`).
const CREATE_PRIMARY: Code = Code(0x131, "TPM2_CreatePrimary");
const HMAC: Code = Code(0x155, "TPM2_HMAC");
const FLUSH_CONTEXT: Code = Code(0x165, "TPM2_FlushContext");
/// `TPM_RH_OWNER`.
const OWNER: u32 = 0x4000_0001;
/// An empty password: its length, `TPM_RS_PW`, no nonce, no attributes, no bytes.
const PASSWORD: [u8; 13] = [0, 0, 0, 9, 0x40, 0, 0, 9, 0, 0, 0, 0, 0];
/// Neither password nor data of one's own: the TPM draws the key from its seed.
const SENSITIVE: [u8; 6] = [0, 4, 0, 0, 0, 0];
/// `TPMT_PUBLIC`: a keyed hash; SHA-256; fixed to this TPM and parent, drawn by it, usable with
/// its (empty) password, not under lockout, for signing; no policy; HMAC with SHA-256; nothing
/// unique. No data of outsiders and no PCR follow.
const TEMPLATE: [u8; 24] = [
    0, 16, 0, 0x08, 0, 0x0B, 0, 0x04, 0x04, 0x72, 0, 0, 0, 0x05, 0, 0x0B, 0, 0, // 2 + 16
    0, 0, 0, 0, 0, 0,
];
/// `TPM_ALG_SHA256`.
const SHA256: [u8; 2] = [0, 0x0B];
/// Bytes of a header: tag, size, code.
const HEAD: usize = 10;

/// The number of a command and its name.
#[derive(Clone, Copy)]
struct Code(u32, &'static str);

/// A TPM 2.0, asked when a key is needed.
#[derive(Clone, Debug)]
pub struct Tpm(PathBuf);

/// What commands are written to and answers read from.
trait Channel: Read + Write {}

impl<T: Read + Write> Channel for T {}

impl Tpm {
    /// The TPM of this board.
    #[must_use]
    pub fn usual() -> Self {
        Self::at(Path::new(DEVICE))
    }

    /// The TPM behind a character device, or one in software behind a Unix socket.
    #[must_use]
    pub fn at(path: &Path) -> Self {
        Self(path.to_owned())
    }

    fn connect(&self) -> Result<Box<dyn Channel>, DeviceError> {
        let path = || self.0.clone();
        let failed = |error: io::Error| match error.kind() {
            ErrorKind::NotFound => DeviceError::Missing {
                path: path(),
                remedy: "no TPM 2.0 is connected, or its overlay is missing in config.txt, like `dtoverlay=tpm-slb9670`",
            },
            ErrorKind::PermissionDenied => DeviceError::Permission {
                path: path(),
                remedy: "run as root, or add yourself to its group: `sudo usermod -aG tss $USER`",
            },
            _ => DeviceError::Io { path: path(), error },
        };
        if std::fs::metadata(&self.0).map_err(failed)?.file_type().is_socket() {
            let stream = UnixStream::connect(&self.0).map_err(failed)?;
            stream.set_read_timeout(Some(PATIENCE)).map_err(failed)?;
            stream.set_write_timeout(Some(PATIENCE)).map_err(failed)?;
            return Ok(Box::new(stream));
        }
        Ok(Box::new(File::options().read(true).write(true).open(&self.0).map_err(failed)?))
    }

    /// Sends a command and gives what follows the header of the answer.
    fn ask(
        &self,
        channel: &mut dyn Channel,
        code: Code,
        tag: u16,
        parts: &[&[u8]],
    ) -> Result<Zeroizing<Vec<u8>>, DeviceError> {
        let failed = |error| DeviceError::Io { path: self.0.clone(), error };
        let nonsense = || DeviceError::Nonsense { path: self.0.clone(), command: code.1 };
        let length = HEAD + parts.iter().map(|part| part.len()).sum::<usize>();
        let mut command = Vec::with_capacity(length);
        command.extend(tag.to_be_bytes());
        command.extend((length as u32).to_be_bytes());
        command.extend(code.0.to_be_bytes());
        parts.iter().for_each(|part| command.extend(*part));
        // In one piece: the kernel takes a write for a command.
        channel.write_all(&command).map_err(failed)?;
        let mut answer = Zeroizing::new(vec![0; ANSWER_MAX]);
        let mut count = channel.read(&mut answer).map_err(failed)?;
        while count > 0 && (count < HEAD || count < number(&answer, 2).unwrap_or(0)) {
            match channel.read(&mut answer[count..]).map_err(failed)? {
                0 => return Err(nonsense()),
                more => count += more,
            }
        }
        if count < HEAD || number(&answer, 2) != Some(count) {
            return Err(nonsense());
        }
        match number(&answer, 6) {
            Some(0) => Ok(Zeroizing::new(answer[HEAD..count].to_vec())),
            Some(refused) => Err(DeviceError::Refused { command: code.1, code: refused as u32 }),
            None => Err(nonsense()),
        }
    }

    /// The MAC over a purpose under the key that is loaded.
    fn mac(
        &self,
        channel: &mut dyn Channel,
        handle: &[u8],
        purpose: &str,
    ) -> Result<Zeroizing<[u8; 32]>, DeviceError> {
        let length = (purpose.len() as u16).to_be_bytes();
        let parts = [handle, &PASSWORD, &length, purpose.as_bytes(), &SHA256];
        let answer = self.ask(channel, HMAC, SESSIONS, &parts)?;
        // The length of the parameters, that of the MAC, and the MAC.
        let mac = answer.get(4..).and_then(|rest| rest.strip_prefix(&[0, 32]));
        let mac = mac.and_then(|rest| rest.first_chunk());
        let nonsense = || DeviceError::Nonsense { path: self.0.clone(), command: HMAC.1 };
        mac.map(|mac| Zeroizing::new(*mac)).ok_or_else(nonsense)
    }
}

/// Four bytes as a number.
fn number(bytes: &[u8], at: usize) -> Option<usize> {
    let four = bytes.get(at..at + 4)?.first_chunk()?;
    usize::try_from(u32::from_be_bytes(*four)).ok()
}

impl DeviceSecret for Tpm {
    fn name(&self) -> &'static str {
        "a TPM 2.0, which gives the key to nobody and uses it for whoever may open its device"
    }

    fn key(&self, purpose: &str) -> Result<Zeroizing<[u8; 32]>, DeviceError> {
        let mut channel = self.connect()?;
        let channel = &mut *channel;
        let parts: [&[u8]; 4] = [&OWNER.to_be_bytes(), &PASSWORD, &SENSITIVE, &TEMPLATE];
        let made = self.ask(channel, CREATE_PRIMARY, SESSIONS, &parts)?;
        let nonsense = || DeviceError::Nonsense { path: self.0.clone(), command: CREATE_PRIMARY.1 };
        let handle = made.get(..4).ok_or_else(nonsense)?;
        let key = self.mac(channel, handle, purpose);
        let flushed = self.ask(channel, FLUSH_CONTEXT, NO_SESSIONS, &[handle]);
        let key = key?;
        flushed?;
        Ok(key)
    }
}

#[cfg(test)]
mod tests;
