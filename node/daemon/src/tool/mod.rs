//! `goodwatt`, the one tool for people.

pub mod args;
pub(crate) mod bench;
mod board;
mod check;
mod context;
mod daemon;
mod demo;
mod doctor;
mod energy;
pub mod error;
mod files;
#[cfg(feature = "finger")]
mod finger;
mod guard;
mod init;
mod key;
mod keys;
pub mod light;
mod output;
mod pages;
mod peers;
mod power;
mod scratch;
mod sending;
mod show;
mod sim;
mod sync;
mod ten_wallets;
mod testnet;
mod verify;
mod wallet;

use std::process::ExitCode;

use args::{
    AssociationCommand, Command, ConfigCommand, GenesisCommand, GuardCommand, KeyCommand, OnOff,
    SlotCommand, Tool,
};
use context::Context;
use error::ToolError;

use crate::protocol::{Call, Status};

pub(crate) use context::read_genesis;
pub(crate) use output::note;
pub use pages::write_man_pages;

/// Does what the command line says; gives the exit code.
#[must_use]
pub fn run(tool: Tool) -> ExitCode {
    let context = Context::new(tool.common);
    let done = if tool.light.light {
        light::run(&context, &tool.light, tool.command)
    } else {
        dispatch(&context, tool.command)
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            note(&format!("goodwatt: {error}"));
            error.code()
        }
    }
}

fn dispatch(context: &Context, command: Command) -> Result<(), ToolError> {
    match command {
        Command::Demo(demo) => demo::run(context, &demo),
        Command::Testnet(args) => testnet::run(context, &args),
        Command::Init(init) => init::run(context, &init),
        Command::Status => show::status(context),
        Command::Sync => sync::run(context),
        Command::Doctor => doctor::run(context),
        Command::Verify { data } => verify::run(context, &data),
        Command::Config(command) => config(context, command),
        Command::Key(command) => key(context, command),
        Command::Send { to, amount, memo, sending } => {
            sending::send(context, to, amount, &memo, &sending)
        }
        Command::Balance { address } => show::balance(context, address),
        Command::History { address, limit } => show::history(context, address, limit),
        Command::Tx { id } => show::transaction(context, id),
        Command::Slot(command) => slot(context, &command),
        Command::Association(command) => association(context, command),
        Command::Donations => show::donations(context),
        Command::Peers => peers::list(context),
        Command::Peer(command) => peers::change(context, command),
        Command::Guard(GuardCommand::Export) => guard::export(context),
        Command::Guard(GuardCommand::Import { file }) => guard::import(context, &file),
        Command::Signing { state, clock_is_right } => signing(context, state, clock_is_right),
        Command::Power(args) => power::run(context, args),
        Command::Energy => energy::run(context),
        Command::Bench { names, work } => bench::run(context, &names, work.as_deref()),
        #[cfg(feature = "finger")]
        Command::Finger(command) => finger::run(context, command),
        Command::Sim(args) => sim::run(context, &args),
        Command::Board(command) => board::run(context, command),
        Command::Genesis(command) => genesis(context, command),
        Command::Man { folder } => write_man_pages(&folder),
        Command::Completions { shell } => pages::completions(shell),
    }
}

fn config(context: &Context, command: ConfigCommand) -> Result<(), ToolError> {
    match command {
        ConfigCommand::Check { file } => files::check_config(context, file),
        ConfigCommand::Show { file } => files::show_config(context, file),
    }
}

fn genesis(context: &Context, command: GenesisCommand) -> Result<(), ToolError> {
    match command {
        GenesisCommand::New { file, name } => init::new_genesis(context, &file, &name),
        GenesisCommand::Check { file } => files::check_genesis(context, &file),
    }
}

fn key(context: &Context, command: KeyCommand) -> Result<(), ToolError> {
    match command {
        KeyCommand::New { file, unprotected } => key::new(context, file, unprotected),
        KeyCommand::Show { file, words } => key::show(context, file, words),
        KeyCommand::Restore { file, unprotected } => key::restore(context, file, unprotected),
        #[cfg(feature = "finger")]
        KeyCommand::Enroll(args) => finger::enroll(context, &args),
        #[cfg(feature = "finger")]
        KeyCommand::Unlock { port } => finger::unlock(context, port.as_deref()),
        #[cfg(feature = "finger")]
        KeyCommand::Lock => finger::lock(context),
        #[cfg(feature = "finger")]
        KeyCommand::Revoke { yes } => finger::revoke(context, yes),
        #[cfg(feature = "finger")]
        KeyCommand::Status => finger::status(context),
    }
}

fn slot(context: &Context, command: &SlotCommand) -> Result<(), ToolError> {
    match command {
        SlotCommand::Buy { amount, prefer, sending } => {
            sending::buy_slot(context, *amount, *prefer, sending)
        }
        SlotCommand::Back { owner, amount, sending } => {
            sending::back_slot(context, *owner, *amount, sending)
        }
        SlotCommand::List => show::slots(context),
    }
}

fn association(context: &Context, command: AssociationCommand) -> Result<(), ToolError> {
    match command {
        AssociationCommand::Request(args) => sending::request(context, &args),
        AssociationCommand::Check(args) => check::run(context, &args),
        AssociationCommand::List => show::associations(context),
        AssociationCommand::Vote { id, voice, removal, sending } => {
            sending::vote(context, id, voice, removal, &sending)
        }
        AssociationCommand::Renew { id, evidence, identity, sending } => {
            sending::renew(context, id, &evidence, &identity, &sending)
        }
        AssociationCommand::Withdraw { id, sending } => sending::withdraw(context, id, &sending),
    }
}

fn signing(context: &Context, state: OnOff, clock_is_right: bool) -> Result<(), ToolError> {
    let on = state == OnOff::On;
    if clock_is_right && !on {
        return Err(ToolError::Usage("--clock-is-right goes with `on` alone".to_owned()));
    }
    let call = Call::Signing { on, clock_is_right };
    let status: Status = context.connect()?.call(call)?;
    show::print_status(context, &status)
}
