//! Commands that look: status, balances, slots, associations, donations, watts.

use std::fmt::{self, Write};

use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::Grains;

use super::context::Context;
use super::error::ToolError;
use crate::protocol::{
    AccountInfo, AssociationInfo, Call, Donations, History, PowerInfo, SlotInfo, Slots, Status,
    TransactionInfo,
};

/// `goodwatt status`: in step, signing, how much power, anything wrong.
pub(super) fn status(context: &Context) -> Result<(), ToolError> {
    let status: Status = context.connect()?.call(Call::Status)?;
    print_status(context, &status)
}

pub(super) fn print_status(context: &Context, status: &Status) -> Result<(), ToolError> {
    Ok(context.output.print(status, |page| status_text(page, status))?)
}

fn status_text(page: &mut String, status: &Status) -> fmt::Result {
    writeln!(page, "chain     {} at height {}", status.chain_name, status.height)?;
    let signing = match (status.in_charge, status.signing) {
        (true, true) => "yes".to_owned(),
        (false, true) => "ready, but no slot of this node is in charge".to_owned(),
        (_, false) => "no".to_owned(),
    };
    writeln!(page, "signing   {signing}")?;
    writeln!(page, "power     {}", power_line(&status.power))?;
    let wrong = status.not_signing_because.as_deref().or(status.power.fault.as_deref());
    writeln!(page, "wrong     {}", wrong.unwrap_or("nothing"))?;
    if let Some(sync) = &status.catching_up {
        writeln!(page, "behind    {}", sync.sentence(status.height))?;
    }
    let carried = if status.carried_on { ", carried on for want of purchases" } else { "" };
    writeln!(page, "epoch     {}, {} validators{carried}", status.epoch, status.validators)?;
    writeln!(page, "block     {}", status.block_id)?;
    writeln!(
        page,
        "sealed    {} transactions, {} wait",
        status.transactions, status.mempool_transactions
    )?;
    writeln!(page, "donated   {}", grains(status.donated_grains))?;
    writeln!(
        page,
        "process   {} MB resident, {:.2} wake-ups a second, {} kB written, up {} s",
        status.usage.resident_bytes / 1_000_000,
        per_second(status.usage.wakeups, status.uptime_s),
        status.usage.written_bytes / 1_000,
        status.uptime_s
    )?;
    writeln!(page, "version   {}, chain {}", status.version, status.chain_id)
}

fn per_second(count: u64, seconds: u64) -> f64 {
    count as f64 / seconds.max(1) as f64
}

/// A span of time as people say it.
pub(super) fn span(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

/// Money with its unit.
pub(super) fn grains(amount: u64) -> String {
    Grains::new(amount).map_or_else(|| format!("{amount} grains"), |amount| amount.to_string())
}

/// A figure of power that is never bare.
pub(super) fn power_line(power: &PowerInfo) -> String {
    format!(
        "{:.3} W, {}, {}, {} ({})",
        power.power_microwatts as f64 / 1e6,
        power.power_method,
        power.power_error,
        power.power_scope,
        power.sensor
    )
}

/// `goodwatt balance`.
pub(super) fn balance(context: &Context, address: Option<PublicKey>) -> Result<(), ToolError> {
    let address = context.address_or_own(address)?.to_string();
    let account: AccountInfo = context.connect()?.call(Call::Account { address })?;
    Ok(context.output.print(&account, |page| balance_text(page, &account))?)
}

pub(super) fn balance_text(page: &mut String, account: &AccountInfo) -> fmt::Result {
    write!(page, "{}  {}", account.address, grains(account.balance_grains))?;
    if account.pending_balance_grains != account.balance_grains {
        write!(page, ", {} when all is sealed", grains(account.pending_balance_grains))?;
    }
    writeln!(page)
}

/// `goodwatt history`.
pub(super) fn history(
    context: &Context,
    address: Option<PublicKey>,
    limit: u16,
) -> Result<(), ToolError> {
    let own = context.address_or_own(address)?.to_string();
    let call = Call::History { address: own.clone(), limit: limit.into() };
    let history: History = context.connect()?.call(call)?;
    let text = |page: &mut String| {
        if history.transactions.is_empty() {
            writeln!(page, "no transactions")?;
        }
        history.transactions.iter().try_for_each(|entry| history_line(page, entry, &own))?;
        let pruned = history.pruned_below.iter();
        pruned
            .into_iter()
            .try_for_each(|first| writeln!(page, "what is below {first} is pruned here"))
    };
    Ok(context.output.print(&history, text)?)
}

fn history_line(page: &mut String, entry: &TransactionInfo, own: &str) -> fmt::Result {
    let height = entry.height.map_or_else(|| "waits".to_owned(), |height| height.to_string());
    write!(page, "{height:>8}  {:20}", entry.kind)?;
    if let Some(amount) = entry.amount_grains {
        let sign = if entry.sender == own { '-' } else { '+' };
        write!(page, "  {sign}{}", grains(amount))?;
    }
    let other = if entry.sender == own { entry.to.as_deref() } else { Some(&*entry.sender) };
    if let Some(other) = other {
        write!(page, "  {other}")?;
    }
    if let Some(memo) = &entry.memo {
        write!(page, "  {memo:?}")?;
    }
    writeln!(page)
}

/// `goodwatt tx`.
pub(super) fn transaction(context: &Context, id: String) -> Result<(), ToolError> {
    let info: TransactionInfo = context.connect()?.call(Call::Transaction { id })?;
    Ok(context.output.print(&info, |page| transaction_text(page, &info))?)
}

pub(super) fn transaction_text(page: &mut String, info: &TransactionInfo) -> fmt::Result {
    writeln!(page, "id       {}", info.id)?;
    writeln!(page, "kind     {}", info.kind)?;
    match (info.height, info.position) {
        (Some(height), Some(position)) => {
            writeln!(page, "sealed   at height {height}, position {position}")?;
        }
        _ => writeln!(page, "sealed   not yet")?,
    }
    writeln!(page, "sender   {}, nonce {}", info.sender, info.nonce)?;
    writeln!(page, "fee      {}", grains(info.fee_grains))?;
    if let Some(to) = &info.to {
        writeln!(page, "to       {to}")?;
    }
    if let Some(amount) = info.amount_grains {
        writeln!(page, "amount   {}", grains(amount))?;
    }
    info.memo.iter().try_for_each(|memo| writeln!(page, "memo     {memo:?}"))
}

/// `goodwatt slot list`.
pub(super) fn slots(context: &Context) -> Result<(), ToolError> {
    let slots: Slots = context.connect()?.call(Call::Slots)?;
    let text = |page: &mut String| {
        let carried = if slots.carried_on { ", carried on" } else { "" };
        writeln!(page, "epoch {} in charge{carried}", slots.epoch)?;
        slots.current.iter().try_for_each(|slot| slot_line(page, slot))?;
        writeln!(page, "epoch {} frozen", slots.epoch + 1)?;
        slots.next.iter().try_for_each(|slot| slot_line(page, slot))?;
        writeln!(page, "epoch {} on sale", slots.open_epoch)?;
        slots.bids.iter().try_for_each(|slot| slot_line(page, slot))
    };
    Ok(context.output.print(&slots, text)?)
}

fn slot_line(page: &mut String, slot: &SlotInfo) -> fmt::Result {
    let ours = if slot.ours { "  ours" } else { "" };
    writeln!(
        page,
        "  {}  {}  signed {}, proposed {}{ours}",
        slot.owner,
        grains(slot.donated_grains),
        slot.signed,
        slot.proposed
    )
}

/// `goodwatt association list`.
pub(super) fn associations(context: &Context) -> Result<(), ToolError> {
    let list: Vec<AssociationInfo> = context.connect()?.call(Call::Associations)?;
    let text = |page: &mut String| {
        if list.is_empty() {
            return writeln!(page, "no association is pending or admitted");
        }
        list.iter().try_for_each(|association| association_text(page, association))
    };
    Ok(context.output.print(&list, text)?)
}

fn association_text(page: &mut String, association: &AssociationInfo) -> fmt::Result {
    writeln!(page, "{}  ({}, {})", association.name, association.category, association.status)?;
    writeln!(page, "  id       {}", association.id)?;
    writeln!(page, "  web      {}", association.web)?;
    writeln!(
        page,
        "  donated  {}, paid out {}",
        grains(association.donated_grains),
        grains(association.released_grains)
    )?;
    if let Some(ballot) = &association.ballot {
        writeln!(
            page,
            "  {}: {} yes, {} no of {} live, closes with epoch {}",
            ballot.kind, ballot.yes, ballot.no, ballot.live, ballot.closes_epoch
        )?;
    }
    Ok(())
}

/// `goodwatt donations`.
pub(super) fn donations(context: &Context) -> Result<(), ToolError> {
    let donations: Donations = context.connect()?.call(Call::Donations)?;
    let text = |page: &mut String| {
        writeln!(page, "donated   {}", grains(donations.donated_grains))?;
        writeln!(page, "paid out  {}", grains(donations.released_grains))?;
        let waiting = (grains(donations.pool_grains), grains(donations.releasing_grains));
        writeln!(page, "waiting   {} in the pool, {} for its epoch", waiting.0, waiting.1)?;
        for to in &donations.associations {
            let amounts = (grains(to.donated_grains), grains(to.released_grains));
            writeln!(
                page,
                "  {} ({}): {}, paid out {}",
                to.name, to.category, amounts.0, amounts.1
            )?;
        }
        let halt = grains(donations.cost_to_halt_grains);
        let rewrite = grains(donations.cost_to_rewrite_grains);
        writeln!(
            page,
            "to halt this chain would cost about {halt} an epoch, to rewrite {rewrite};"
        )?;
        let saves = donations.one_insider_saves_percent;
        writeln!(page, "the owner of one admitted association would get {saves:.1} % of it back")
    };
    Ok(context.output.print(&donations, text)?)
}
