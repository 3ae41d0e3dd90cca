//! `goodwatt peers` and `goodwatt peer`: who is connected, whom to call, whom to keep out.

use std::fmt::{self, Write as _};
use std::time::Duration;

use super::args::PeerCommand;
use super::context::Context;
use super::error::ToolError;
use crate::protocol::{Call, Peer, Peers};

/// `goodwatt peers`.
pub(super) fn list(context: &Context) -> Result<(), ToolError> {
    call(context, Call::Peers)
}

/// `goodwatt peer`.
pub(super) fn change(context: &Context, command: PeerCommand) -> Result<(), ToolError> {
    call(
        context,
        match command {
            PeerCommand::Add { address } => Call::AddPeer { address: address.to_string() },
            PeerCommand::Ban { id, span } => {
                Call::BanPeer { peer: id.to_string(), seconds: span.as_secs() }
            }
            PeerCommand::Unban { id } => Call::UnbanPeer { peer: id.to_string() },
        },
    )
}

fn call(context: &Context, call: Call) -> Result<(), ToolError> {
    let peers: Peers = context.connect()?.call(call)?;
    Ok(context.output.print(&peers, |page| page_of(page, &peers))?)
}

fn page_of(page: &mut String, peers: &Peers) -> fmt::Result {
    writeln!(page, "this node {}", peers.id)?;
    writeln!(page, "listens   {}", peers.listens.as_deref().unwrap_or("nowhere"))?;
    writeln!(page, "knows     {} addresses", peers.known_addresses)?;
    if peers.has_twin {
        writeln!(page, "WRONG     another node has this node's transport.key: `goodwatt doctor`")?;
    }
    if peers.peers.is_empty() {
        writeln!(page, "nobody is connected")?;
    }
    peers.peers.iter().try_for_each(|peer| peer_text(page, peer))?;
    peers.banned.iter().try_for_each(|id| writeln!(page, "banned    {id}"))
}

fn peer_text(page: &mut String, peer: &Peer) -> fmt::Result {
    writeln!(page, "{}", peer.id)?;
    let (arrow, called) = if peer.direction == "out" { ("->", "called") } else { ("<-", "calls") };
    let listens = peer.listens.as_deref().filter(|listens| *listens != peer.address);
    let listens = listens.map_or_else(String::new, |listens| format!(", listens at {listens}"));
    writeln!(
        page,
        "  {arrow} {}, {called}, {} node, version {}{listens}",
        peer.address, peer.role, peer.software
    )?;
    let round_trip = peer
        .round_trip_us
        .map_or_else(|| "not measured".to_owned(), |us| format!("{:.1} ms", us as f64 / 1e3));
    writeln!(
        page,
        "  height {}, round trip {round_trip}, score {}, connected for {}",
        peer.height,
        peer.score,
        super::show::span(peer.connected_s)
    )?;
    write!(page, "  {} kB in, {} kB out", peer.bytes_in / 1_000, peer.bytes_out / 1_000)?;
    if peer.queued_bytes > 0 {
        write!(page, ", {} bytes wait", peer.queued_bytes)?;
    }
    writeln!(page)?;
    match &peer.validator {
        Some(validator) => writeln!(
            page,
            "  validator {}, {}",
            validator.owner,
            super::show::grains(validator.donated_grains)
        ),
        None => Ok(()),
    }
}

/// Reads a span such as `90s`, `10m`, `12h`, `7d`.
pub(super) fn parse_span(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no span of time: write 90s, 10m, 12h or 7d");
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let seconds: u64 = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        "d" => 86_400,
        _ => return Err(wrong()),
    };
    let span = number.parse::<u64>().ok().and_then(|number| number.checked_mul(seconds));
    span.filter(|span| *span > 0).map(Duration::from_secs).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_a_unit() {
        let check = |text, want: Option<u64>| {
            assert_eq!(parse_span(text).ok(), want.map(Duration::from_secs), "{text}");
        };
        check("90s", Some(90));
        check("10m", Some(600));
        check("12h", Some(43_200));
        check("7d", Some(604_800));
        check("7", None);
        check("0s", None);
        check("-1s", None);
        check("d", None);
        check("", None);
        check("1 Tag", None);
        check("5€", None);
        check("99999999999999999999d", None);
        check("9999999999999999999d", None);
    }
}
