//! Where a meter outside of the board is found.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::Deserialize;

/// The port of a plug that names none.
const HTTP_PORT: u16 = 80;

/// A meter outside of the board, such as `shelly://192.168.1.5` or `unix:/run/goodwatt/watts.sock`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub enum MeterAddress {
    /// A plug with a web server.
    Http(HttpMeter),
    /// A socket that is made here; another program writes lines of JSON into it.
    Socket(PathBuf),
}

/// A plug with a web server.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HttpMeter {
    /// What it speaks.
    pub kind: HttpKind,
    /// Its host name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// Which of its channels feeds the board, counted from zero.
    pub channel: u8,
}

/// What a plug speaks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HttpKind {
    /// Shelly of the second generation and later: watts, and watt hours.
    Shelly,
    /// Shelly of the first generation: watts, and watt minutes.
    Shelly1,
    /// Tasmota: watts, and kilowatt hours.
    Tasmota,
}

impl HttpKind {
    const ALL: [(Self, &'static str); 3] =
        [(Self::Shelly, "shelly"), (Self::Shelly1, "shelly1"), (Self::Tasmota, "tasmota")];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Shelly => "shelly",
            Self::Shelly1 => "shelly1",
            Self::Tasmota => "tasmota",
        }
    }
}

/// A text that is no address of a meter.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`{0}` is no meter: write it as shelly://HOST, shelly1://HOST (first generation), \
     tasmota://HOST, each with :PORT and /CHANNEL where needed, or unix:/PATH"
)]
pub struct ParseMeterError(String);

impl FromStr for MeterAddress {
    type Err = ParseMeterError;

    fn from_str(text: &str) -> Result<Self, ParseMeterError> {
        let wrong = || ParseMeterError(text.to_owned());
        if let Some(path) = text.strip_prefix("unix:") {
            return if path.starts_with('/') {
                Ok(Self::Socket(path.into()))
            } else {
                Err(wrong())
            };
        }
        let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
        let found = HttpKind::ALL.into_iter().find(|(_, name)| *name == scheme);
        let (kind, _) = found.ok_or_else(wrong)?;
        let (place, channel) = match rest.split_once('/') {
            Some((place, channel)) => (place, channel.parse().map_err(|_| wrong())?),
            None => (rest, 0),
        };
        let (host, port) = split_port(place).ok_or_else(wrong)?;
        Ok(Self::Http(HttpMeter { kind, host: host.to_owned(), port, channel }))
    }
}

/// Host and port; an IPv6 address stands in brackets.
fn split_port(place: &str) -> Option<(&str, u16)> {
    let (host, rest) = match place.strip_prefix('[') {
        Some(rest) => rest.split_once(']')?,
        None => place.split_at(place.find(':').unwrap_or(place.len())),
    };
    // What could end the line of a request is no part of a host.
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b".-:_".contains(&byte);
    if host.is_empty() || !host.bytes().all(fits) {
        return None;
    }
    let port = match rest.strip_prefix(':') {
        Some(port) => port.parse().ok()?,
        None if rest.is_empty() => HTTP_PORT,
        None => return None,
    };
    Some((host, port))
}

impl TryFrom<String> for MeterAddress {
    type Error = ParseMeterError;

    fn try_from(text: String) -> Result<Self, ParseMeterError> {
        text.parse()
    }
}

impl fmt::Display for MeterAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket(path) => write!(f, "unix:{}", path.display()),
            Self::Http(HttpMeter { kind, host, port, channel }) => {
                let open = if host.contains(':') { "[" } else { "" };
                let close = if host.contains(':') { "]" } else { "" };
                write!(f, "{}://{open}{host}{close}", kind.as_str())?;
                if *port != HTTP_PORT {
                    write!(f, ":{port}")?;
                }
                if *channel != 0 { write!(f, "/{channel}") } else { Ok(()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_and_printed_alike() {
        let check = |text: &str| {
            assert_eq!(text.parse().map(|meter: MeterAddress| meter.to_string()), Ok(text.into()));
        };
        check("shelly://192.168.1.5");
        check("shelly1://plug.lan/1");
        check("tasmota://plug.lan:8080");
        check("shelly://[fe80::1]:8080/3");
        check("unix:/run/goodwatt/watts.sock");
    }

    #[test]
    fn what_is_no_meter_is_refused_with_the_ways_to_write_one() {
        let check = |text: &str| {
            let error = text.parse::<MeterAddress>().expect_err(text).to_string();
            assert!(error.contains("write it as shelly://HOST"), "{error}");
        };
        for text in [
            "",
            "shelly",
            "http://192.168.1.5",
            "shelly://",
            "shelly://a b",
            "shelly://a\r\nX: y",
            "shelly://a:99999",
            "shelly://a/256",
            "shelly://[::1",
            "shelly://[::1]x",
            "unix:watts",
        ] {
            check(text);
        }
    }
}
