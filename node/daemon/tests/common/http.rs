//! Plain HTTP, as a machine that scrapes metrics speaks it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};

use super::{Home, PATIENCE};

/// Lets the daemon serve HTTP at a free port.
pub(crate) fn with_http(home: &Home) -> SocketAddr {
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = free.local_addr().expect("an address");
    home.edit("goodwatt.toml", "http = \"off\"", &format!("http = \"{address}\""));
    address
}

/// Status code and body.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    write!(stream, "GET {path} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("text");
    let code = answer.split(' ').nth(1).expect("a code").parse().expect("a number");
    (code, answer.split_once("\r\n\r\n").expect("a body").1.to_owned())
}
