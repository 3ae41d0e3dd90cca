//! `goodwattd`: the validator as a service.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::Parser;
use goodwatt_store::LogError;
use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Notify;

use crate::alarm::{Alarm, ClockWatch};
use crate::allocator;
use crate::checkpoint;
use crate::config::{Checkpoint, Config, Loaded};
use crate::control::{self, ControlSocket};
use crate::http;
use crate::logging::{self, LogHandle};
use crate::mending;
use crate::net::Network;
use crate::notify::Notifier;
use crate::peering;
use crate::places::Places;
use crate::tool::{note, read_genesis};
use crate::upkeep::Upkeep;
use crate::validator::{self, HomeError, Running, Settings};

/// Goodwatt's daemon: a validator for boards that sip power.
#[derive(Debug, Parser)]
#[command(name = "goodwattd", version = crate::version::LONG, about)]
pub struct Daemon {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "/etc/goodwatt/goodwatt.toml")]
    config: PathBuf,
    /// End when the process ends that started this one, as a test network wants it
    #[arg(long, hide = true)]
    end_with_parent: bool,
    /// Keep so many of the last bodies, and headers of the rest [default: what the file says]
    #[arg(long, value_name = "N")]
    keep_blocks: Option<u64>,
    /// Begin after this block where there is no ledger yet [default: what the file says]
    #[arg(long, value_name = "HEIGHT:BLOCKID")]
    checkpoint: Option<Checkpoint>,
}

/// Runs until a signal ends it; gives the exit code.
#[must_use]
pub fn run(daemon: &Daemon) -> ExitCode {
    allocator::settle();
    let outcome = if daemon.end_with_parent { end_with_parent() } else { Ok(()) }
        .and_then(|()| serve(daemon));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The log may not run yet; this goes where it goes: standard error.
            let lines = error.to_string();
            lines.lines().for_each(|line| note(&format!("goodwattd: {line}")));
            ExitCode::FAILURE
        }
    }
}

type Failure = Box<dyn std::error::Error>;

/// Has the kernel stop this process when the one that started it is gone.
fn end_with_parent() -> Result<(), Failure> {
    set_parent_process_death_signal(Some(Signal::TERM))?;
    match getppid() {
        // It was gone before.
        None | Some(Pid::INIT) => Err("the process that started this one is gone".into()),
        Some(_) => Ok(()),
    }
}

fn serve(daemon: &Daemon) -> Result<(), Failure> {
    let Loaded { config, .. } = Config::load(&daemon.config)?;
    let log = logging::start(config.node.log_level)?;
    let genesis = read_genesis(&config.chain.genesis)?;
    tracing::info!("goodwattd {}, chain {}", crate::version::SHORT, genesis.name);
    tracing::info!("eco statement: {} ({})", genesis.eco.sentence, genesis.eco.measure);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let _entered = runtime.enter();
    #[cfg(feature = "finger")]
    if config.validator.buy_slots {
        tracing::warn!("buys no slots before the owner's key is unlocked: goodwatt key unlock");
    }
    let socket = ControlSocket::open(&config.api.socket, config.api.socket_mode.bits())?;
    let chain = genesis.chain_id();
    let settings = Settings {
        data: config.node.data_dir.clone(),
        genesis,
        sign: config.validator.enabled,
        mempool: config.mempool,
        power: config.power.clone(),
        has_peers: config.network.is_used(),
        keep_blocks: daemon.keep_blocks.or(config.node.keep_blocks.map(|blocks| blocks as u64)),
    };
    if let Some(trusted) = daemon.checkpoint.or(config.chain.checkpoint)
        && !validator::has_blocks(&settings.data, &settings.genesis)?
    {
        let begin = checkpoint::begin(&config, &settings.genesis, trusted);
        runtime.block_on(unless_stopped("fetching the state", begin))?;
    }
    let running = start_validator(&runtime, &config, &settings)?;
    let network = match peering::start(&config, chain)? {
        None => None,
        Some((network, events)) => {
            runtime.spawn(peering::pump(network.clone(), events, running.handle.clone()));
            Some(network)
        }
    };
    let served =
        runtime.block_on(attend(daemon, &config, &log, &socket, &running, network.as_ref()));
    Notifier::from_environment().stopping();
    if let Some(network) = network {
        runtime.block_on(network.stop());
    }
    running.stop();
    served
}

/// Starts the validator; a log that is too damaged for that is healed by peers first.
fn start_validator(
    runtime: &Runtime,
    config: &Config,
    settings: &Settings,
) -> Result<Running, Failure> {
    let chain = settings.genesis.chain_id();
    let mut healed = None;
    loop {
        match validator::start(settings.clone()) {
            Err(HomeError::Log(LogError::Damaged(damage))) if healed != Some(damage.height) => {
                healed = Some(damage.height);
                let heal = mending::heal(config, chain, &damage);
                runtime.block_on(unless_stopped("healing the block log", heal))?;
            }
            started => return Ok(started?),
        }
    }
}

/// Waits for something that may take long, or for a signal to stop; the system is told meanwhile.
async fn unless_stopped(
    status: &str,
    work: impl Future<Output = Result<(), Failure>>,
) -> Result<(), Failure> {
    let (mut terminate, mut interrupt) =
        (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let notifier = Notifier::from_environment();
    notifier.ready(status);
    let period = notifier.ping_period();
    tokio::pin!(work);
    loop {
        let ping = async {
            match period {
                Some(period) => tokio::time::sleep(period).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            done = &mut work => return done,
            () = ping => notifier.ping(),
            _ = terminate.recv() => return Err("stopped before it was done".into()),
            _ = interrupt.recv() => return Err("stopped before it was done".into()),
        }
    }
}

/// Serves sockets and signals until one of them ends it.
async fn attend(
    daemon: &Daemon,
    config: &Config,
    log: &LogHandle,
    socket: &ControlSocket,
    running: &Running,
    network: Option<&Network>,
) -> Result<(), Failure> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut reload = signal(SignalKind::hangup())?;
    let listener = match config.api.http {
        Some(address) => Some(http::bind(address).await?),
        None => None,
    };
    let (alarm, changed) = (Alarm::new()?, Arc::new(Notify::new()));
    let mut watch = Some(ClockWatch::new()?);
    let places = |limits| Places::new(limits, Arc::clone(&changed));
    let (tools, machines) = (places(control::LIMITS), places(http::LIMITS));
    let control = socket.serve(running.handle.clone(), tools.clone());
    let pages = async {
        match listener {
            Some(listener) => http::serve(listener, running.handle.clone(), machines.clone()).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(control, pages);
    let notifier = Notifier::from_environment();
    notifier.ready(&format!("serving {}", config.api.socket.display()));
    let served = vec![tools.clone(), machines.clone()];
    let mut upkeep = Upkeep::new(notifier, running.handle.clone(), served, network.cloned());
    loop {
        let now = Instant::now();
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            _ = reload.recv() => reload_config(daemon, log, notifier),
            () = &mut control => {}
            served = &mut pages => return Ok(served?),
            () = changed.notified() => upkeep.plan_sweep(),
            rang = alarm.sleep_until(upkeep.next_wakeup(now), now) => {
                rang?;
                upkeep.run_due(Instant::now());
            }
            set = clock_set(watch.as_ref()) => match set {
                Ok(()) => upkeep.clock_set(),
                Err(error) => {
                    // The validator looks at the clock now and then anyway.
                    tracing::warn!("the kernel does not tell when the clock is set: {error}");
                    watch = None;
                }
            }
        }
    }
}

async fn clock_set(watch: Option<&ClockWatch>) -> std::io::Result<()> {
    match watch {
        Some(watch) => watch.clock_set().await,
        None => std::future::pending().await,
    }
}

/// Reads the configuration anew: the log level changes at once, the rest at the next start.
fn reload_config(daemon: &Daemon, log: &LogHandle, notifier: Notifier) {
    notifier.reloading();
    match Config::load(&daemon.config) {
        Ok(Loaded { config, .. }) => {
            log.set_level(config.node.log_level);
            tracing::info!("log level is {}; other changes need a restart", config.node.log_level);
        }
        Err(error) => tracing::error!("the former configuration stays: {error}"),
    }
    notifier.ready("reloaded");
}
