//! A switch for boards in network namespaces, in user space: it delays Ethernet frames, loses
//! them, and keeps two sides apart. Frames come and go by VXLAN (RFC 7348), so plain UDP does.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io::BufRead;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::Random;

/// Where VXLAN is spoken.
pub(crate) const PORT: u16 = 4_789;
/// Makes a process the relay.
const RELAY: &str = "GOODWATT_TEST_RELAY";
const BOARDS_MAX: usize = 16;
/// Bytes of VXLAN before the Ethernet frame.
const VXLAN_BYTES: usize = 8;

/// The hub's end of a board's cable.
pub(crate) fn hub_address(board: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, u8::try_from(board).expect("few boards"), 1)
}

/// The board's end of it.
pub(crate) fn board_address(board: usize) -> Ipv4Addr {
    Ipv4Addr::new(10, 78, u8::try_from(board).expect("few boards"), 2)
}

/// The hardware address of a board, by which the relay knows it.
pub(crate) fn mac(board: usize) -> String {
    format!("02:00:00:00:00:{board:02x}")
}

/// Starts the relay in a namespace: this program once more, running `test`, which asks
/// [`is_wanted`] first.
pub(crate) fn start(space: &str, test: &str) -> Child {
    let mut command = Command::new("ip");
    command.args(["netns", "exec", space]).arg(std::env::current_exe().expect("this program"));
    command.args(["--exact", test, "--nocapture"]).env(RELAY, "1");
    command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().expect("it starts again")
}

/// Whether this process is the relay; then it has been, and is at its end.
pub(crate) fn was_relay() -> bool {
    let wanted = std::env::var_os(RELAY).is_some();
    if wanted {
        Relay::new().run();
    }
    wanted
}

#[derive(Clone, Copy, Default)]
struct Port {
    delay: Duration,
    loss_percent: u64,
    side: u8,
}

enum News {
    Frame(usize, Vec<u8>),
    Order(String),
    End,
}

/// A frame, when it is to go on, in which order, and to which board.
type Waiting = (Instant, u64, usize, Vec<u8>);

struct Relay {
    socket: UdpSocket,
    ports: [Port; BOARDS_MAX],
    random: Random,
    /// By time, then by arrival.
    waiting: BinaryHeap<Reverse<Waiting>>,
    count: u64,
}

impl Relay {
    fn new() -> Self {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, PORT)).expect("its own namespace");
        let ports = [Port::default(); BOARDS_MAX];
        Self { socket, ports, random: Random(1), waiting: BinaryHeap::new(), count: 0 }
    }

    fn run(&mut self) {
        let (news, inbox) = mpsc::channel();
        let (orders, socket) = (news.clone(), self.socket.try_clone().expect("a socket"));
        std::thread::spawn(move || {
            for line in std::io::stdin().lock().lines().map_while(Result::ok) {
                orders.send(News::Order(line)).unwrap_or_default();
            }
            orders.send(News::End).unwrap_or_default();
        });
        std::thread::spawn(move || {
            let mut bytes = vec![0; 70_000];
            loop {
                let Ok((len, SocketAddr::V4(from))) = socket.recv_from(&mut bytes) else {
                    continue;
                };
                let board = usize::from(from.ip().octets()[2]);
                if news.send(News::Frame(board, bytes[..len].to_vec())).is_err() {
                    return;
                }
            }
        });
        loop {
            let now = Instant::now();
            while self.waiting.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
                let Reverse((_, _, to, frame)) = self.waiting.pop().expect("just seen");
                // Its cable may be out: then the frame is lost, as it should be.
                drop(self.socket.send_to(&frame, (board_address(to), PORT)));
            }
            let wait = self.waiting.peek().map(|Reverse((due, ..))| *due - now);
            match inbox.recv_timeout(wait.unwrap_or(Duration::from_secs(60))) {
                Ok(News::Frame(from, frame)) => self.take(from, frame),
                Ok(News::Order(line)) => self.obey(&line),
                Err(RecvTimeoutError::Timeout) => {}
                Ok(News::End) | Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn take(&mut self, from: usize, mut frame: Vec<u8>) {
        let Some(last_of_mac) = frame.get(VXLAN_BYTES + 5).copied() else { return };
        if from >= BOARDS_MAX {
            return;
        }
        finish_checksum(&mut frame[VXLAN_BYTES..]);
        let is_for_all = frame[VXLAN_BYTES] & 1 == 1;
        let due = Instant::now() + self.ports[from].delay;
        for to in 0..BOARDS_MAX {
            let is_meant = is_for_all || usize::from(last_of_mac) == to;
            let same_side = self.ports[to].side == self.ports[from].side;
            if to != from && is_meant && same_side && !self.is_lost(from) && !self.is_lost(to) {
                self.count += 1;
                self.waiting.push(Reverse((due, self.count, to, frame.clone())));
            }
        }
    }

    fn is_lost(&mut self, at: usize) -> bool {
        let percent = self.ports[at].loss_percent;
        percent > 0 && self.random.below(100) < percent
    }

    /// `shape BOARD DELAY_MS LOSS_PERCENT`, `side BOARD SIDE`.
    fn obey(&mut self, line: &str) {
        let words: Vec<&str> = line.split(' ').collect();
        let number = |at: usize| words[at].parse::<u64>().expect("a number");
        let port = &mut self.ports[usize::try_from(number(1)).expect("few boards")];
        match words[0] {
            "shape" => {
                port.delay = Duration::from_millis(number(2));
                port.loss_percent = number(3);
            }
            "side" => port.side = u8::try_from(number(2)).expect("two sides"),
            word => panic!("an order to {word}"),
        }
    }
}

/// Kernels leave the checksum of TCP to the hardware of a cable, and here is none.
fn finish_checksum(frame: &mut [u8]) {
    const ETHERNET: usize = 14;
    let is_ipv4 = frame.get(12..14) == Some(&[8, 0]);
    let Some(ip) = frame.get_mut(ETHERNET..).filter(|ip| is_ipv4 && ip.len() >= 20) else { return };
    let header = usize::from(ip[0] & 15) * 4;
    let total = usize::from(u16::from_be_bytes([ip[2], ip[3]]));
    const TCP: u8 = 6;
    if ip[9] != TCP || total < header + 20 || ip.len() < total {
        return;
    }
    let (ip, tcp) = ip[..total].split_at_mut(header);
    tcp[16..18].fill(0);
    let words = |bytes: &[u8]| -> u32 {
        let pair =
            |pair: &[u8]| u32::from(u16::from_be_bytes([pair[0], *pair.get(1).unwrap_or(&0)]));
        bytes.chunks(2).map(pair).sum()
    };
    let length = u32::try_from(tcp.len()).expect("a packet");
    let mut sum = words(&ip[12..20]) + u32::from(TCP) + length + words(tcp);
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    tcp[16..18].copy_from_slice(&(!u16::try_from(sum).expect("folded")).to_be_bytes());
}
