//! A plug's web server that answers byte for byte what it is given, in the way it is told to.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::Duration;

/// How an answer is sent.
#[derive(Clone, Debug)]
pub(crate) enum Way {
    /// At once.
    AtOnce(String),
    /// One byte after another, so many milliseconds apart.
    Slowly(String, u64),
    /// After so many milliseconds.
    Late(String, u64),
    /// A head, and then bytes without an end.
    Endless,
    /// Nothing, and the connection is closed.
    HangUp,
}

/// A plug. It answers in the ways it was told to, one after the other.
pub(crate) struct Plug {
    pub(crate) port: u16,
    ways: Sender<Way>,
    requests: Receiver<String>,
}

impl Plug {
    pub(crate) fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("it is bound").port();
        let (ways, next) = channel::<Way>();
        let (heard, requests) = channel();
        thread::spawn(move || {
            while let Ok(way) = next.recv() {
                let Ok((stream, _)) = listener.accept() else { return };
                // Whoever asks may have gone away: that is what some tests are about.
                drop(serve(stream, way, &heard));
            }
        });
        Self { port, ways, requests }
    }

    /// Tells how to answer the next question.
    pub(crate) fn answers(&self, way: Way) {
        self.ways.send(way).expect("it listens");
    }

    /// The question that was asked last.
    pub(crate) fn was_asked(&self) -> String {
        self.requests.recv_timeout(Duration::from_secs(10)).expect("it was asked")
    }
}

fn serve(mut stream: TcpStream, way: Way, heard: &Sender<String>) -> std::io::Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        request.push(byte[0]);
    }
    // Nobody may want to know what was asked.
    drop(heard.send(String::from_utf8_lossy(&request).into_owned()));
    match way {
        Way::AtOnce(answer) => stream.write_all(answer.as_bytes()),
        Way::Slowly(answer, millis) => answer.bytes().try_for_each(|byte| {
            thread::sleep(Duration::from_millis(millis));
            stream.write_all(&[byte])
        }),
        Way::Late(answer, millis) => {
            thread::sleep(Duration::from_millis(millis));
            stream.write_all(answer.as_bytes())
        }
        Way::Endless => {
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")?;
            loop {
                stream.write_all(&[b'x'; 1_024])?;
            }
        }
        Way::HangUp => Ok(()),
    }
}
