//! The one file on the card's first partition: what the board is, and below it whatever the
//! daemon's own configuration has.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use serde_json::Value as Json;
use toml::de::DeValue;

use crate::config::reader::{Reader, Section};
use crate::config::value::{Value, Wrong, from_text};
use crate::config::{Config, ConfigErrors, Settings};

/// Sections that are the board's, not the daemon's.
const OWN: [&str; 3] = ["board", "wifi", "finger"];
/// Keys that may log in at most, and servers of one kind.
const LIST_MAX: usize = 8;

/// What the owner decided, read from `goodwatt.toml` on the card.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct BoardConfig {
    /// The board's name in its network.
    pub(super) name: Plain<HostName>,
    /// Who may log in over SSH; nobody where it is empty, and then there is no SSH at all.
    pub(super) ssh_keys: Vec<Plain<SshKey>>,
    /// Whether who holds the serial console is root.
    pub(super) serial_login: bool,
    /// Where to ask for the time.
    pub(super) time_servers: Vec<Plain<HostName>>,
    /// The address on the wire, or none for DHCP.
    pub(super) address: Option<Plain<Cidr>>,
    /// Where packets for elsewhere go.
    pub(super) gateway: Option<Plain<IpAddr>>,
    /// Who knows names.
    pub(super) dns: Vec<Plain<IpAddr>>,
    /// The wireless network.
    pub(super) wifi: Option<Wifi>,
    /// The serial line of a fingerprint sensor; none where there is no sensor.
    pub(super) finger: Option<Plain<FingerPort>>,
    /// The daemon's own sections.
    pub(super) daemon: Config,
    /// Everything as it stands in the file.
    settings: Settings,
}

/// A wireless network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Wifi {
    /// Its name.
    pub(super) name: String,
    /// Its password; none where it was handed over at an earlier start.
    pub(super) password: Option<String>,
    /// Two letters of the country whose rules of the air hold.
    pub(super) country: String,
}

impl BoardConfig {
    /// Reads the text of a file; `name` is what errors call it.
    ///
    /// # Errors
    /// With all that is wrong in it.
    pub(super) fn parse(text: &str, name: &str) -> Result<Self, ConfigErrors> {
        let mut reader = Reader::new(text, name);
        let usual = Plain(HostName("goodwatt".to_owned()));
        let mut read = reader.section("board", |board| Self {
            name: board.value("name", usual),
            ssh_keys: board.list("ssh_keys", LIST_MAX),
            serial_login: board.value("serial_login", false),
            time_servers: board.list("time_servers", LIST_MAX),
            address: board.value("address", None),
            gateway: board.value("gateway", None),
            dns: board.list("dns", LIST_MAX),
            wifi: None,
            finger: None,
            daemon: Config::default(),
            settings: Settings::default(),
        });
        read.wifi = reader.section("wifi", Wifi::read);
        read.finger = reader.section("finger", |finger| finger.value("port", None));
        read.daemon = Config::read(&mut reader);
        if reader.is_sound() {
            read.daemon.check(&mut reader);
        }
        read.settings = reader.finish()?;
        Ok(read)
    }

    /// The daemon's configuration file: its sections as they stand, and signing on unless the
    /// owner says otherwise.
    pub(super) fn daemon_toml(&self) -> String {
        let own = |section: &str| OWN.contains(&section);
        let mut text = "# Made at each start from goodwatt.toml on the card's first partition: \
                        change it there.\n"
            .to_owned();
        let rest = self.settings.to_toml(|section| !own(section));
        if self.settings.states("validator", "enabled") {
            text.push_str(&rest);
        } else if rest.contains("\n[validator]\n") {
            text.push_str(&rest.replace("\n[validator]\n", "\n[validator]\nenabled = true\n"));
        } else {
            text.push_str(&rest);
            text.push_str("\n[validator]\nenabled = true\n");
        }
        text
    }
}

impl Wifi {
    /// None where no name is given.
    fn read(section: &mut Section<'_, '_>) -> Option<Self> {
        let none = || Plain(Text(String::new()));
        let name = section.value("name", none()).0.0;
        let password = section.value("password", none()).0.0;
        let country = section.value("country", Plain(Country(String::new()))).0.0;
        if name.is_empty() {
            return None;
        }
        let password = (!password.is_empty()).then_some(password);
        Some(Self { name, password, country })
    }
}

/// A value that is a text in the file, read and shown by its own rules.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Plain<T>(pub(super) T);

impl<T> Value for Plain<T>
where
    T: FromStr<Err: fmt::Display> + fmt::Display,
{
    fn read(value: &DeValue<'_>) -> Result<Self, Wrong> {
        from_text(value, "a text in quotes").map(Self)
    }

    fn show(&self) -> Json {
        self.0.to_string().into()
    }
}

/// Declares a text with a rule and the sentence that is said when it is broken.
macro_rules! ruled {
    ($(#[$doc:meta])* $name:ident, $rule:expr, $else:literal) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Eq, PartialEq)]
        pub(super) struct $name(pub(super) String);

        impl FromStr for $name {
            type Err = &'static str;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                let rule: fn(&str) -> bool = $rule;
                if rule(text) { Ok(Self(text.to_owned())) } else { Err($else) }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

ruled!(
    /// A name in a network (RFC 1123), or an address.
    HostName,
    |text| {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b".-:".contains(&byte);
        (1..=63).contains(&text.len()) && text.bytes().all(letter) && !text.starts_with('-')
    },
    "write letters, digits and `-`, at most 63, such as \"goodwatt\""
);
ruled!(
    /// A public key as it stands in `id_ed25519.pub`.
    SshKey,
    |text| {
        let mut words = text.split(' ');
        let kind = words.next().unwrap_or("");
        let known = ["ssh-ed25519", "ecdsa-sha2-nistp256", "ssh-rsa", "sk-ssh-ed25519@openssh.com"];
        let body = words.next().unwrap_or("");
        let base64 = |byte: u8| byte.is_ascii_alphanumeric() || b"+/=".contains(&byte);
        known.contains(&kind)
            && (60..=1024).contains(&body.len())
            && body.bytes().all(base64)
            && !text.chars().any(char::is_control)
    },
    "copy the one line of a file that ends in .pub, such as \"ssh-ed25519 AAAA... me@laptop\""
);
ruled!(
    /// A country.
    Country,
    |text| text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_uppercase()),
    "write the two capital letters of your country, such as \"DE\""
);
ruled!(
    /// Any printable text of a line.
    Text,
    |text| text.len() <= 64 && !text.chars().any(|letter| letter.is_control() || letter == '"'),
    "write at most 64 letters without quotes"
);

ruled!(
    /// Where a fingerprint sensor is: [`FingerPort::HEADER`], or the path of a serial line.
    FingerPort,
    |text| {
        let name = text.strip_prefix("/dev/").unwrap_or("");
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:/".contains(&byte);
        text == Self::HEADER
            || (1..=64).contains(&name.len()) && name.bytes().all(letter) && !name.contains("..")
    },
    "write \"header\" for pins 8 and 10, or the path of a line such as \"/dev/ttyUSB0\""
);

impl FingerPort {
    /// Pins 8 and 10 of the header, on which the serial console is otherwise.
    pub(super) const HEADER: &str = "header";
}

/// An address with the length of its network.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Cidr(IpAddr, u8);

impl FromStr for Cidr {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const HOW: &str = "write an address and the length of its network, \"192.168.1.5/24\", or \"off\" for DHCP";
        let (address, length) = text.split_once('/').ok_or(HOW)?;
        let address: IpAddr = address.parse().map_err(|_| HOW)?;
        let most = if address.is_ipv4() { 32 } else { 128 };
        let length = length.parse().ok().filter(|length| (1..=most).contains(length));
        Ok(Self(address, length.ok_or(HOW)?))
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.0, self.1)
    }
}
