//! What can stand behind a key: how each type is read, and how it is shown.

use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use goodwatt_chain::hash::{BlockId, Digest32};
use goodwatt_chain::units::{Grains, Height};
use goodwatt_units::Millis;
use serde_json::Value as Json;
use toml::de::DeValue;

use crate::logging::LogLevel;

/// Something that can stand behind a key.
pub(crate) trait Value: Sized {
    /// Reads it.
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong>;
    /// Shows it, so that [`Self::read`] gives it back.
    fn show(&self) -> Json;
}

/// Why a value was refused.
pub(crate) enum Wrong {
    /// It has to be something else; the text says what.
    Type(&'static str),
    /// It is the right type, but not such a value; the text says why.
    Value(String),
}

/// Reads a text by its own rules.
pub(crate) fn from_text<T>(value: &DeValue<'_>, wanted: &'static str) -> Result<T, Wrong>
where
    T: FromStr<Err: fmt::Display>,
{
    let text = value.as_str().ok_or(Wrong::Type(wanted))?;
    text.parse().map_err(|error: T::Err| Wrong::Value(error.to_string()))
}

/// Declares types that are texts in the file, written as they are displayed.
macro_rules! texts {
    ($($name:ty, $wanted:literal;)+) => {$(
        impl Value for $name {
            fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
                from_text(value, $wanted)
            }

            fn show(&self) -> Json {
                self.to_string().into()
            }
        }
    )+};
}

texts! {
    Checkpoint, "a block such as \"1200:4f8a...\", or \"off\"";
    Bytes, "a size such as \"512 KiB\"";
    Grains, "an amount such as \"2.5 good\"";
    LogLevel, "a log level such as \"info\"";
    PeerAddress, "an address such as \"node.example.org:9461\"";
    Role, "\"main\" or \"light\"";
    SocketMode, "octal digits in quotes such as \"0660\"";
}

impl Value for bool {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        value.as_bool().ok_or(Wrong::Type("true or false"))
    }

    fn show(&self) -> Json {
        (*self).into()
    }
}

impl Value for usize {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let number = value.as_integer().ok_or(Wrong::Type("a whole number"))?;
        Self::from_str_radix(number.as_str(), number.radix())
            .map_err(|_| Wrong::Value("write a whole number, zero or more".to_owned()))
    }

    fn show(&self) -> Json {
        (*self).into()
    }
}

impl Value for PathBuf {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let text = value.as_str().ok_or(Wrong::Type("a path in quotes"))?;
        if text.is_empty() || text.contains('\0') {
            return Err(Wrong::Value("no such path can exist: write one in quotes".to_owned()));
        }
        Ok(text.into())
    }

    fn show(&self) -> Json {
        self.to_string_lossy().into()
    }
}

impl Value for SocketAddr {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        const HOW: &str = "an address and a port such as \"127.0.0.1:9460\", or \"off\"";
        let text = value.as_str().ok_or(Wrong::Type(HOW))?;
        text.parse().map_err(|_| Wrong::Value(format!("write {HOW}")))
    }

    fn show(&self) -> Json {
        self.to_string().into()
    }
}

/// What can be left out is switched off by that word.
impl<T: Value> Value for Option<T> {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        if value.as_str() == Some("off") { Ok(None) } else { T::read(value).map(Some) }
    }

    fn show(&self) -> Json {
        self.as_ref().map_or_else(|| "off".into(), Value::show)
    }
}

/// A block that the operator trusts: `HEIGHT:BLOCKID`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    /// Its height.
    pub height: Height,
    /// Its id.
    pub block: BlockId,
}

impl fmt::Display for Checkpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.height.get(), self.block)
    }
}

impl FromStr for Checkpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let how = || "write HEIGHT:BLOCKID, as `goodwatt status` shows both".to_owned();
        let (height, block) = text.split_once(':').ok_or_else(how)?;
        let height = height.parse().ok().filter(|height| *height > 1).ok_or_else(how)?;
        let block = crate::hex::decode(block).and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        let block = BlockId(Digest32::new(block.ok_or_else(how)?));
        Ok(Self { height: Height::new(height), block })
    }
}

impl Value for Millis {
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        let text = value.as_str().ok_or(Wrong::Type("a span such as \"90 s\""))?;
        SPAN.parse(text).map(Self::new).map_err(|error| Wrong::Value(error.to_string()))
    }

    fn show(&self) -> Json {
        SPAN.show(self.get()).into()
    }
}

/// A number of bytes.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Bytes(pub(super) usize);

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&SIZE.show(self.0 as u64))
    }
}

impl FromStr for Bytes {
    type Err = QuantityError;

    fn from_str(text: &str) -> Result<Self, QuantityError> {
        let too_large = QuantityError::TooLarge { example: SIZE.example };
        usize::try_from(SIZE.parse(text)?).map(Self).map_err(|_| too_large)
    }
}

/// A whole number with a unit behind it.
struct Quantity {
    /// Each unit and how many of the smallest it holds, in falling order.
    units: &'static [(&'static str, u64)],
    example: &'static str,
}

/// A span of time, in milliseconds.
const SPAN: Quantity = Quantity {
    units: &[("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000), ("ms", 1)],
    example: "`90 s`, `5 min` or `3 h`",
};

/// A size, in bytes.
const SIZE: Quantity = Quantity {
    units: &[("MiB", 1024 * 1024), ("KiB", 1024), ("B", 1)],
    example: "`512 KiB` or `4 MiB`",
};

/// Why a text is not a quantity.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub(super) enum QuantityError {
    /// Digits alone, or a unit that does not exist.
    #[error("no unit: write it as {example}")]
    NoUnit {
        /// How to write it.
        example: &'static str,
    },
    /// Something else than digits before the unit.
    #[error("not a whole number: write it as {example}")]
    NotANumber {
        /// How to write it.
        example: &'static str,
    },
    /// More than this program can count.
    #[error("too large: write it as {example}")]
    TooLarge {
        /// How to write it.
        example: &'static str,
    },
}

impl Quantity {
    /// Reads a count of the smallest unit.
    fn parse(&self, text: &str) -> Result<u64, QuantityError> {
        let example = self.example;
        let text = text.trim();
        let split = text.find(char::is_alphabetic).unwrap_or(text.len());
        let (digits, unit) = (text[..split].trim_end(), &text[split..]);
        let (_, factor) = self
            .units
            .iter()
            .find(|(name, _)| *name == unit)
            .ok_or(QuantityError::NoUnit { example })?;
        if digits.is_empty() || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(QuantityError::NotANumber { example });
        }
        let count: Option<u64> = digits.parse().ok();
        count
            .and_then(|count| count.checked_mul(*factor))
            .ok_or(QuantityError::TooLarge { example })
    }

    /// Shows a count in the largest unit that loses nothing.
    fn show(&self, count: u64) -> String {
        let exact = |(_, factor): &&(&str, u64)| count != 0 && count.is_multiple_of(*factor);
        match self.units.iter().find(exact).or(self.units.last()) {
            Some((unit, factor)) => format!("{} {unit}", count / factor),
            None => count.to_string(),
        }
    }
}

/// How much of the ledger a node keeps.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Role {
    /// All of it.
    Main,
    /// Headers and proofs.
    Light,
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Main => "main",
            Self::Light => "light",
        })
    }
}

/// A text that names no role.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a role: write \"main\" or \"light\"")]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        [Self::Main, Self::Light]
            .into_iter()
            .find(|role| role.to_string() == text)
            .ok_or(UnknownRole)
    }
}

/// The permission bits of a socket.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SocketMode(u32);

impl SocketMode {
    /// From its bits; what lies above `0777` is cut off.
    pub(super) const fn new(bits: u32) -> Self {
        Self(bits & 0o777)
    }

    /// Its bits, at most `0777`.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }
}

impl fmt::Display for SocketMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

/// A text that is no permission.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a permission: write octal digits from \"0600\" to \"0777\"")]
pub struct NotAMode;

impl FromStr for SocketMode {
    type Err = NotAMode;

    fn from_str(text: &str) -> Result<Self, NotAMode> {
        let octal = |digit: u8| (b'0'..=b'7').contains(&digit);
        if !(3..=4).contains(&text.len()) || !text.bytes().all(octal) {
            return Err(NotAMode);
        }
        // The daemon itself has to be able to use it.
        let bits = u32::from_str_radix(text, 8).map_err(|_| NotAMode)?;
        if (0o600..=0o777).contains(&bits) { Ok(Self(bits)) } else { Err(NotAMode) }
    }
}

/// A node to connect to: host name or address, a colon, a port.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct PeerAddress(String);

impl PeerAddress {
    /// Its text, as a resolver takes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PeerAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A text that is no address of a node.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
#[error("not a node: write host and port, `node.example.org:9461` or `[2001:db8::1]:9461`")]
pub struct NotAPeer;

impl FromStr for PeerAddress {
    type Err = NotAPeer;

    fn from_str(text: &str) -> Result<Self, NotAPeer> {
        let (host, port) = text.rsplit_once(':').ok_or(NotAPeer)?;
        let port: u16 = port.parse().map_err(|_| NotAPeer)?;
        let letters =
            host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte));
        // A name, or an IPv6 address in its brackets, of at most the 253 letters that DNS allows.
        let name = letters && (1..=253).contains(&host.len());
        if port != 0 && (name || text.parse::<SocketAddr>().is_ok()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAPeer)
        }
    }
}

/// What kind of value it is, for a message.
pub(super) const fn kind(value: &DeValue<'_>) -> &'static str {
    match value {
        DeValue::String(_) => "a text",
        DeValue::Integer(_) => "a whole number",
        DeValue::Float(_) => "a number with a point",
        DeValue::Boolean(_) => "true or false",
        DeValue::Datetime(_) => "a date",
        DeValue::Array(_) => "a list",
        DeValue::Table(_) => "a section",
    }
}

/// A value of any kind, as JSON has it; what JSON lacks becomes text.
pub(super) fn json(value: &DeValue<'_>) -> Json {
    let number = |text: &str| serde_json::from_str(text).unwrap_or_else(|_| text.into());
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Integer(integer) => number(&integer.to_string()),
        DeValue::Float(float) => number(float.as_str()),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Datetime(moment) => moment.to_string().into(),
        DeValue::Array(array) => array.iter().map(|entry| json(entry.get_ref())).collect(),
        DeValue::Table(table) => {
            let entry = |(key, value): (&toml::Spanned<_>, &toml::Spanned<DeValue<'_>>)| {
                let key: &toml::de::DeString<'_> = key.get_ref();
                (key.to_string(), json(value.get_ref()))
            };
            table.iter().map(entry).collect()
        }
    }
}
