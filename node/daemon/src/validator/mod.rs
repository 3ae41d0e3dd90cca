//! The validator: one thread that owns ledger, keys and card, and answers calls.
//!
//! It sleeps until a call comes or something is due. Sockets live on another thread and reach it
//! through a [`Handle`]; so a slow disk never stalls the network, and no lock is ever held.

mod answer;
mod clock;
mod engine;
mod home;
mod light;
mod neighbours;
mod peers;
mod prune;
mod queries;
mod recovery;
mod replay;
mod snapshots;
mod sync;
mod watts;

use std::path::PathBuf;
use std::sync::mpsc;
use std::thread::JoinHandle;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::mempool::MempoolLimits;
use goodwatt_power::PowerConfig;
use serde_json::Value;
use tokio::sync::oneshot;

use crate::protocol::{Call, Fault, FaultKind};

pub(crate) use clock::Clock;
pub(crate) use clock::build_time;
pub(crate) use goodwatt_validator::LoggedBlock;
pub use home::HomeError;
pub(crate) use home::{begin_at, has_blocks};
pub(crate) use peers::{FromNetwork, frame_kind, read_frame};
pub(crate) use queries::transaction as transaction_info;
pub(crate) use recovery::{Recovery, sealed_in};
pub use replay::ReplayError;
pub(crate) use replay::{Replay, Replayed, read_record};
pub(crate) use watts::power_info;

/// The most calls that wait for the validator; who comes later is told to come back.
const CALLS_MAX: usize = 1_024;

/// What a validator needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Folder of ledger, guard and signer keys.
    pub data: PathBuf,
    /// Everything agreed before the first block.
    pub genesis: Genesis,
    /// Whether to sign when a signer key of this board is in charge.
    pub sign: bool,
    /// How much may wait.
    pub mempool: MempoolLimits,
    /// Where watts come from.
    pub power: PowerConfig,
    /// Whether there may be other validators.
    pub has_peers: bool,
    /// How many of the last bodies are kept; all where it is `None`.
    pub keep_blocks: Option<u64>,
}

/// The outcome of a call, as the control protocol carries it.
pub(crate) type Answer = Result<Value, Fault>;

/// What reaches the validator's thread.
#[derive(Debug)]
pub(crate) enum Request {
    /// A call and where its answer goes.
    Call(Call, oneshot::Sender<Answer>),
    /// The wall clock was set: look at it.
    ClockSet,
    /// News from the network.
    Network(FromNetwork),
    /// Finish what is begun, put everything on the card, and end.
    Stop,
}

/// A way to talk to the validator, from any thread.
#[derive(Clone, Debug)]
pub struct Handle(mpsc::SyncSender<Request>);

impl Handle {
    /// Tells news of the network; gives them back where the queue is full, and nothing where the
    /// validator is gone.
    pub(crate) fn network(&self, news: FromNetwork) -> Result<(), Option<FromNetwork>> {
        self.0.try_send(Request::Network(news)).map_err(|error| match error {
            mpsc::TrySendError::Full(Request::Network(news)) => Some(news),
            _ => None,
        })
    }

    /// Asks, and waits for the answer without blocking the thread.
    ///
    /// # Errors
    /// What the validator says, or that it is busy or gone.
    pub async fn call(&self, call: Call) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Call(call, reply))?;
        answer.await.unwrap_or_else(|_| Err(gone()))
    }

    /// Asks, and blocks the thread until the answer is there.
    ///
    /// # Errors
    /// What the validator says, or that it is busy or gone.
    pub fn call_blocking(&self, call: Call) -> Answer {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Call(call, reply))?;
        answer.blocking_recv().unwrap_or_else(|_| Err(gone()))
    }

    /// Says that the wall clock was set.
    pub fn clock_set(&self) {
        // Where the queue is full the clock is looked at anyway, and where nobody is left it does
        // not matter.
        drop(self.send(Request::ClockSet));
    }

    fn send(&self, request: Request) -> Result<(), Fault> {
        self.0.try_send(request).map_err(|error| match error {
            mpsc::TrySendError::Full(_) => {
                Fault::new(FaultKind::Busy, "the validator is busy: try again in a moment")
            }
            mpsc::TrySendError::Disconnected(_) => gone(),
        })
    }
}

fn gone() -> Fault {
    Fault::new(FaultKind::Busy, "the validator is stopping")
}

/// A validator that runs.
#[derive(Debug)]
pub struct Running {
    /// Talks to it.
    pub handle: Handle,
    thread: JoinHandle<()>,
}

impl Running {
    /// Lets it finish what is begun, and waits until everything is on the card.
    pub fn stop(self) {
        // Blocks while the queue is full: a stop is never lost. A thread that is gone needs none.
        drop(self.handle.0.send(Request::Stop));
        if self.thread.join().is_err() {
            tracing::error!("the validator's thread ended by a panic");
        }
    }
}

/// Opens the data folder and starts the validator; it is ready when this returns.
///
/// # Errors
/// [`HomeError`]: what is wrong with the data, and what to do.
pub fn start(settings: Settings) -> Result<Running, HomeError> {
    let mut engine = engine::Engine::open(settings)?;
    engine.begin_clock();
    let (sender, requests) = mpsc::sync_channel(CALLS_MAX);
    let thread = std::thread::Builder::new()
        .name("validator".to_owned())
        .spawn(move || engine.run(&requests))
        .map_err(HomeError::Thread)?;
    Ok(Running { handle: Handle(sender), thread })
}
