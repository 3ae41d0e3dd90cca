//! Boards in network namespaces of their own, with veth cables between them: links that are slow,
//! lose packets, or are cut. Needs root, and `ip` and `tc` of Debian's package iproute2.
//!
//! Links are shaped by `tc netem` on a bridge. A kernel without that module gets a switch in user
//! space instead (`relay.rs`), to which the boards' Ethernet frames come by VXLAN.

use std::ffi::OsStr;
use std::io::Write;
use std::net::SocketAddr;
use std::process::{Child, Command};

use super::relay;
use super::{Ended, run};

/// Where each board listens.
const PORT: u16 = 9_461;
/// The two bridges; all cables begin at the first one.
const BRIDGES: [&str; 2] = ["bridge0", "bridge1"];

/// What a board's link does to packets.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Link {
    /// Milliseconds that what it sends takes.
    pub(crate) delay_ms: u32,
    /// Of a hundred packets so many are lost, each way.
    pub(crate) loss_percent: u32,
}

/// The cables and what they hang on; all of it goes away when this is dropped.
#[derive(Debug)]
pub(crate) struct Wires {
    name: String,
    boards: usize,
    /// Where there is no netem.
    relay: Option<Child>,
}

impl Wires {
    /// Lays a cable from each board. The name keeps tests apart; `relay` names the test that
    /// becomes the relay when it is told so.
    pub(crate) fn lay(name: &str, boards: usize, relay: &str) -> Self {
        let mut wires =
            Self { name: format!("gw{}{name}", std::process::id()), boards, relay: None };
        let hub = wires.hub();
        ip(&["netns", "add", &hub]);
        ip(&["-n", &hub, "link", "set", "lo", "up"]);
        for bridge in BRIDGES {
            ip(&["-n", &hub, "link", "add", "name", bridge, "type", "bridge"]);
            ip(&["-n", &hub, "link", "set", bridge, "up"]);
        }
        let netem = "qdisc replace dev lo root netem delay 0ms";
        let has_netem = tool("tc", &["-n", &hub], netem).code == Some(0);
        for board in 0..boards {
            wires.lay_one(board, has_netem);
        }
        if has_netem {
            do_it("tc", &["-n", &hub], "qdisc delete dev lo root");
        } else {
            wires.relay = Some(relay::start(&hub, relay));
        }
        wires
    }

    fn lay_one(&self, board: usize, has_netem: bool) {
        let (hub, space, port) = (self.hub(), self.space(board), port(board));
        let wire = if has_netem { "eth0" } else { "wire0" };
        ip(&["netns", "add", &space]);
        let veth = ["link", "add", "name", wire, "netns", &space, "type", "veth"];
        ip(&[&veth[..], &["peer", "name", &port, "netns", &hub]].concat());
        ip(&["-n", &space, "link", "set", "lo", "up"]);
        if has_netem {
            ip(&["-n", &hub, "link", "set", &port, "master", BRIDGES[0], "up"]);
        } else {
            let (here, there) = (relay::board_address(board), relay::hub_address(board));
            let (near, far) = (format!("{there}/30"), format!("{here}/30"));
            ip(&["-n", &hub, "address", "add", &near, "dev", &port]);
            ip(&["-n", &hub, "link", "set", &port, "up"]);
            ip(&["-n", &space, "address", "add", &far, "dev", wire]);
            ip(&["-n", &space, "link", "set", wire, "up"]);
            let vxlan = format!(
                "link add name eth0 address {} type vxlan id 7 dev {wire} local {here} \
                 remote {there} dstport {}",
                relay::mac(board),
                relay::PORT
            );
            do_it("ip", &["-n", &space], &vxlan);
        }
        let address = format!("10.77.0.{}/24", board + 1);
        ip(&["-n", &space, "address", "add", &address, "dev", "eth0"]);
        ip(&["-n", &space, "link", "set", "eth0", "up"]);
    }

    /// Where each board listens.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let address = |board| {
            let last = u8::try_from(board + 1).expect("few boards");
            SocketAddr::from(([10, 77, 0, last], PORT))
        };
        (0..self.boards).map(address).collect()
    }

    /// What a board's link does from now on.
    pub(crate) fn shape(&mut self, board: usize, link: Link) {
        let Link { delay_ms, loss_percent } = link;
        if self.relay.is_some() {
            return self.tell(&format!("shape {board} {delay_ms} {loss_percent}"));
        }
        let netem = |device: &str, delay: u32| {
            format!("qdisc replace dev {device} root netem delay {delay}ms loss {loss_percent}%")
        };
        do_it("tc", &["-n", &self.space(board)], &netem("eth0", delay_ms));
        do_it("tc", &["-n", &self.hub()], &netem(&port(board), 0));
    }

    /// Parts these boards from the others.
    pub(crate) fn part(&mut self, apart: &[usize]) {
        let side = |board| usize::from(apart.contains(&board));
        for board in 0..self.boards {
            if self.relay.is_some() {
                self.tell(&format!("side {board} {}", side(board)));
            } else {
                let bridge = BRIDGES[side(board)];
                ip(&["-n", &self.hub(), "link", "set", &port(board), "master", bridge]);
            }
        }
    }

    /// Pulls a board's cable out, or puts it in again.
    pub(crate) fn plug(&self, board: usize, is_in: bool) {
        let state = if is_in { "up" } else { "down" };
        ip(&["-n", &self.hub(), "link", "set", &port(board), state]);
    }

    /// A program that runs on a board.
    pub(crate) fn command(&self, board: usize, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.space(board)]).arg(program);
        command
    }

    fn tell(&mut self, line: &str) {
        let stdin = self.relay.as_mut().and_then(|relay| relay.stdin.as_mut());
        writeln!(stdin.expect("it is piped"), "{line}").expect("the relay listens");
    }

    fn hub(&self) -> String {
        format!("{}-hub", self.name)
    }

    fn space(&self, board: usize) -> String {
        format!("{}-{board}", self.name)
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        if let Some(mut relay) = self.relay.take() {
            // It may be gone already, which is as well.
            drop(relay.kill());
            drop(relay.wait());
        }
        let spaces = (0..self.boards).map(|board| self.space(board)).chain([self.hub()]);
        for space in spaces {
            // What was never made cannot be removed.
            drop(Command::new("ip").args(["netns", "delete", &space]).output());
        }
    }
}

fn port(board: usize) -> String {
    format!("port{board}")
}

#[track_caller]
fn ip(args: &[&str]) {
    do_it("ip", args, "");
}

fn tool(program: &str, first: &[&str], rest: &str) -> Ended {
    run(Command::new(program).args(first).args(rest.split_whitespace()), "")
}

#[track_caller]
fn do_it(program: &str, first: &[&str], rest: &str) {
    let ended = tool(program, first, rest);
    let why = "this needs root, and a kernel that allows network namespaces";
    let command = format!("{program} {} {rest}", first.join(" "));
    assert_eq!(ended.code, Some(0), "`{command}`: {} ({why})", ended.err);
}
