//! `goodwatt testnet`: a network of real daemons under a small load, watched by the second.

use std::time::{Duration, Instant};

use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::units::Grains;
use goodwatt_units::Millis;
use serde::Serialize;

use super::{Plan, Testnet};
use crate::hex;
use crate::protocol::{Call, Status, Submitted};
use crate::tool::args::TestnetArgs;
use crate::tool::bench::chain::{payment, wallet};
use crate::tool::context::Context;
use crate::tool::demo::key;
use crate::tool::error::ToolError;
use crate::tool::keys::Keyboard;
use crate::tool::output::{line, note};
use crate::tool::scratch::Scratch;

/// Wallets that pay each other, and what each begins with.
const WALLETS: u32 = 20;
const BALANCE: Grains = Grains::from_good(1_000);
/// A payment each time this passed.
const PACE: Duration = Duration::from_millis(200);
/// A line after so many payments.
const PER_LINE: usize = 5;
/// Long enough that slots need not be bought while somebody watches.
const EPOCH_LENGTH: Millis = Millis::from_secs(3_600);

/// What `--json` prints at the end.
#[derive(Debug, Serialize)]
struct Summary {
    nodes: usize,
    height: u64,
    /// All have the same block at that height.
    agreed: bool,
    transactions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    finality_ms_median: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    finality_ms_p99: Option<f64>,
    /// Of the whole board.
    power_microwatts: u64,
    power_method: String,
    power_error: String,
    /// Of each validator.
    resident_bytes: Vec<u64>,
    wakeups_per_second: Vec<f64>,
    written_bytes: Vec<u64>,
}

/// Runs the network until somebody stops it, or its time is over.
pub(in crate::tool) fn run(context: &Context, args: &TestnetArgs) -> Result<(), ToolError> {
    let mut keyboard = Keyboard::open();
    let folder = args.keep.clone().unwrap_or_else(|| {
        std::env::temp_dir().join(format!("goodwatt-testnet-{}", std::process::id()))
    });
    if folder.exists() {
        return Err(ToolError::failed(format!("{} exists already", folder.display())));
    }
    let scratch = args.keep.is_none().then(|| Scratch::make(&folder)).transpose()?;
    let balances: Vec<(PublicKey, Grains)> =
        (0..WALLETS).map(|number| (wallet(number).public(), BALANCE)).collect();
    let plan = Plan {
        name: "testnet",
        validators: args.nodes.into(),
        observers: 0,
        owner: |number| key(&format!("owner {number}")).public(),
        balances: &balances,
        epoch_length: EPOCH_LENGTH,
    };
    let network = Testnet::begin(&folder, &plan)?;
    if !context.output.json {
        let keys = if keyboard.listens() { "q or Ctrl-C stops" } else { "Ctrl-C stops" };
        note(&format!("{} validators in {}. {keys} them.", args.nodes, folder.display()));
        note("One of them is asked by: goodwatt --socket FOLDER/0/goodwatt.sock status");
    }
    let mut watch = Watch { network, times: Vec::new(), nonces: vec![0; WALLETS as usize] };
    watch.go_on(context, args, &mut keyboard)?;
    let summary = watch.summary()?;
    watch.network.stop()?;
    drop(scratch);
    if context.output.json {
        line(&serde_json::to_string(&summary).map_err(ToolError::failed)?)?;
    }
    if !summary.agreed {
        return Err(ToolError::failed("the validators have different blocks at one height"));
    }
    Ok(())
}

struct Watch {
    network: Testnet,
    /// From handing in to final, of each payment.
    times: Vec<Duration>,
    nonces: Vec<u64>,
}

impl Watch {
    fn go_on(
        &mut self,
        context: &Context,
        args: &TestnetArgs,
        keyboard: &mut Keyboard,
    ) -> Result<(), ToolError> {
        let begin = Instant::now();
        let over = || args.seconds.is_some_and(|most| begin.elapsed().as_secs() >= most.into());
        while !over() && !keyboard.wait_for_quit(PACE) {
            self.pay()?;
            if self.times.len().is_multiple_of(PER_LINE) && !context.output.json {
                line(&self.describe(begin.elapsed())?)?;
            }
        }
        Ok(())
    }

    /// One payment, handed in at each validator in turn.
    fn pay(&mut self) -> Result<(), ToolError> {
        let turn = self.times.len();
        let from = turn % self.nonces.len();
        let to = wallet(((from + 1) % self.nonces.len()) as u32).public();
        let genesis = &self.network.genesis;
        let fee = genesis.parameters.fee_min;
        let transaction = Transaction::sign(
            &genesis.chain_id(),
            &wallet(from as u32),
            self.nonces[from],
            fee,
            payment(to),
        );
        let transaction = hex::encode(transaction.bytes());
        let at = turn % self.network.clients.len();
        let begin = Instant::now();
        let call = Call::Submit { transaction, wait: true };
        let _: Submitted = self.network.clients[at].call(call)?;
        self.times.push(begin.elapsed());
        self.nonces[from] += 1;
        Ok(())
    }

    /// One line for people.
    fn describe(&mut self, elapsed: Duration) -> Result<String, ToolError> {
        let statuses = self.network.statuses()?;
        let peers = self.network.peers()?;
        let heights: Vec<String> =
            statuses.iter().map(|status| status.height.to_string()).collect();
        let peers: Vec<String> = peers.iter().map(|peers| peers.peers.len().to_string()).collect();
        let last = &self.times[self.times.len().saturating_sub(PER_LINE)..];
        Ok(format!(
            "{:>4} s  heights {}  peers {}  final in {}  {}",
            elapsed.as_secs(),
            heights.join(" "),
            peers.join(" "),
            quantile(last, 500).map_or("-".to_owned(), |ms| format!("{ms:.1} ms")),
            crate::tool::show::power_line(&statuses[0].power),
        ))
    }

    fn summary(&mut self) -> Result<Summary, ToolError> {
        let agreed = self.network.agree()?;
        let statuses = self.network.statuses()?;
        let of_each = |figure: fn(&Status) -> u64| statuses.iter().map(figure).collect();
        let (first, usage) = (&statuses[0], |status: &Status| status.usage);
        let per_second =
            |status: &Status| usage(status).wakeups as f64 / status.uptime_s.max(1) as f64;
        Ok(Summary {
            nodes: statuses.len(),
            height: first.height,
            agreed,
            transactions: first.transactions,
            finality_ms_median: quantile(&self.times, 500),
            finality_ms_p99: quantile(&self.times, 990),
            power_microwatts: first.power.power_microwatts,
            power_method: first.power.power_method.clone(),
            power_error: first.power.power_error.clone(),
            resident_bytes: of_each(|status| status.usage.resident_bytes),
            wakeups_per_second: statuses.iter().map(per_second).collect(),
            written_bytes: of_each(|status| status.usage.written_bytes),
        })
    }
}

/// The time within which so many of a thousand were, in milliseconds.
pub(in crate::tool) fn quantile(times: &[Duration], permille: usize) -> Option<f64> {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    let at = (sorted.len() * permille / 1_000).min(sorted.len().checked_sub(1)?);
    sorted.get(at).map(|time| time.as_secs_f64() * 1e3)
}
