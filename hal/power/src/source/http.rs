//! One question to a plug's web server: bounded in time and bytes, and nothing kept open.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use crate::fault::Fault;
use crate::sysfs::quote;

/// How long a question may take in all.
const ANSWER_TIME_MAX: Duration = Duration::from_secs(4);
/// The most bytes of an answer: ten times what the longest of them has, a first-generation
/// Shelly's `/status`.
pub(super) const ANSWER_BYTES_MAX: usize = 32 * 1_024;

/// The body of the answer to `GET path`.
///
/// HTTP/1.0, so that no server answers in chunks.
pub(super) fn get(meter: &str, host: &str, port: u16, path: &str) -> Result<String, Fault> {
    let deadline = Instant::now() + ANSWER_TIME_MAX;
    let fail = |error: io::Error| fault(meter, &error);
    let mut stream = connect(host, port, deadline).map_err(fail)?;
    let request = format!("GET {path} HTTP/1.0\r\nHost: {host}\r\nConnection: close\r\n\r\n");
    stream.set_write_timeout(Some(left(deadline).map_err(fail)?)).map_err(fail)?;
    stream.write_all(request.as_bytes()).map_err(fail)?;
    let answer = read(meter, &mut stream, deadline)?;
    body(meter, &answer)
}

fn connect(host: &str, port: u16, deadline: Instant) -> io::Result<TcpStream> {
    let mut last = io::Error::from(io::ErrorKind::NotFound);
    for address in (host, port).to_socket_addrs()? {
        match TcpStream::connect_timeout(&address, left(deadline)?) {
            Ok(stream) => return Ok(stream),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// What is left of the time.
fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// Everything until the server closes, or its content is complete.
fn read(meter: &str, stream: &mut TcpStream, deadline: Instant) -> Result<Vec<u8>, Fault> {
    let fail = |error: io::Error| fault(meter, &error);
    let mut answer = Vec::new();
    let mut part = [0; 2_048];
    loop {
        stream.set_read_timeout(Some(left(deadline).map_err(fail)?)).map_err(fail)?;
        match stream.read(&mut part) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.extend_from_slice(&part[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(fail(error)),
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(Fault::TooLong { meter: meter.to_owned(), limit: ANSWER_BYTES_MAX });
        }
        if is_complete(&answer) {
            return Ok(answer);
        }
    }
}

/// Head and body, as far as both are there.
fn split(answer: &[u8]) -> Option<(&str, &[u8])> {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n")?;
    Some((str::from_utf8(answer.get(..end)?).ok()?, answer.get(end + 4..)?))
}

fn is_complete(answer: &[u8]) -> bool {
    split(answer).is_some_and(|(head, body)| {
        let length = head.lines().find_map(|line| {
            let (name, value) = line.split_once(':')?;
            if name.eq_ignore_ascii_case("content-length") {
                value.trim().parse().ok()
            } else {
                None
            }
        });
        length.is_some_and(|length: usize| body.len() >= length)
    })
}

fn body(meter: &str, answer: &[u8]) -> Result<String, Fault> {
    let wrong = |bytes: &[u8]| no_figure(meter, &String::from_utf8_lossy(bytes));
    let (head, body) = split(answer).ok_or_else(|| wrong(answer))?;
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) != Some("200") {
        return Err(no_figure(meter, status));
    }
    String::from_utf8(body.to_vec()).map_err(|_| wrong(body))
}

/// The fault of an answer that is no figure.
pub(super) fn no_figure(meter: &str, text: &str) -> Fault {
    Fault::NoFigure { meter: meter.to_owned(), text: quote(text) }
}

fn fault(meter: &str, error: &io::Error) -> Fault {
    let meter = meter.to_owned();
    match error.kind() {
        io::ErrorKind::TimedOut | io::ErrorKind::WouldBlock => Fault::Late { meter },
        _ => Fault::Unreachable { meter, reason: error.to_string() },
    }
}
