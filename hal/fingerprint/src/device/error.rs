//! Why there is no device secret, and what to do about it.

use std::io;
use std::path::PathBuf;

use super::Kind;

/// Why there is no device secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DeviceError {
    /// The file or device cannot be read or made.
    #[error(
        "the device secret {path} cannot be read: {error}; it is needed beside finger and PIN; `goodwatt key enroll --words` makes one anew"
    )]
    Io {
        /// Its path.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// Others may read it.
    #[error("others may read the device secret {path}: make it yours alone with chmod 600")]
    Open {
        /// Its path.
        path: PathBuf,
    },
    /// It is not 32 bytes.
    #[error(
        "the device secret {path} is damaged: it has not 32 bytes; `goodwatt key enroll --words` makes one anew"
    )]
    Damaged {
        /// Its path.
        path: PathBuf,
    },
    /// No such kind.
    #[error("{name} is no kind of device secret: this build knows {}", kinds())]
    Kind {
        /// What was given.
        name: String,
    },
    /// The board has no such thing.
    #[error("there is no {path}: {remedy}")]
    Missing {
        /// The device that is not there.
        path: PathBuf,
        /// What would bring it about.
        remedy: &'static str,
    },
    /// It may not be opened.
    #[error("{path} may not be opened: {remedy}")]
    Permission {
        /// The device.
        path: PathBuf,
        /// Who may.
        remedy: &'static str,
    },
    /// The OTP rows were never written.
    #[error(
        "this board has no private key in its OTP memory yet. It can be written once and never again: `rpi-otp-private-key -w $(openssl rand -hex 32)` (github.com/raspberrypi/usbboot, folder tools) does it; goodwatt never does"
    )]
    Unwritten,
    /// The OTP rows hold something that nobody drew at random.
    #[error(
        "the private key in this board's OTP memory was not drawn at random: some of its eight rows are empty or alike; use another device secret"
    )]
    Weak,
    /// The TPM says no.
    #[error("the TPM refused {command} with {code:#05X}: {}", meaning(*code))]
    Refused {
        /// Which command.
        command: &'static str,
        /// Its response code (TPM 2.0 Library, part 2, 6.6).
        code: u32,
    },
    /// What answers is no TPM.
    #[error("{path} answered {command} with something that is no answer of a TPM 2.0")]
    Nonsense {
        /// The device.
        path: PathBuf,
        /// Which command.
        command: &'static str,
    },
}

/// The names of all kinds.
fn kinds() -> String {
    Kind::ALL.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
}

/// What a response code of a TPM means, as far as a person can do something about it.
const fn meaning(code: u32) -> &'static str {
    match code {
        // TPM_RC_INITIALIZE.
        0x100 => {
            "it was not started; the kernel does that, so another program talks to it directly"
        }
        // TPM_RC_FAILURE.
        0x101 => "it failed its self-test; take its power away for a moment",
        // TPM_RC_COMMAND_CODE.
        0x143 => "it does not know the command; use another device secret",
        // TPM_RC_LOCKOUT, TPM_RC_RETRY, TPM_RC_MEMORY, TPM_RC_OBJECT_MEMORY.
        0x921 => "it is locked for a while after wrong passwords; wait",
        0x922 | 0x904 | 0x902 => "it is busy with other programs; try again",
        // TPM_RC_BAD_AUTH and TPM_RC_AUTH_FAIL, of the first session.
        0x9A2 | 0x98E => "its owner hierarchy has a password; only one without is used here",
        // TPM_RC_HIERARCHY, of the first handle.
        0x185 => "its owner hierarchy is switched off in the firmware",
        _ => "see the response codes of the TPM 2.0 library specification, part 2",
    }
}
