//! `goodwatt demo ten-wallets`: ten wallets get 100 good each; 0, 2, 4, 6 and 8 send 25 to 1, 3, 5,
//! 7 and 9. Printed and checked.

use std::fmt::Write;

use goodwatt_chain::signature::SigningKey;
use goodwatt_chain::units::Grains;
use serde::Serialize;

use super::context::Context;
use super::demo::{Stage, balance, key};
use super::error::ToolError;
use super::show::grains;
use super::wallet::transfer;

const START: Grains = Grains::from_good(100);
const SENT: Grains = Grains::from_good(25);

#[derive(Debug, Serialize)]
struct Wallet {
    wallet: usize,
    address: String,
    balance_grains: u64,
    expected_grains: u64,
}

/// Plays the scene.
pub(super) fn play(context: &Context, stage: &Stage) -> Result<(), ToolError> {
    let wallets: Vec<SigningKey> = (0..10).map(|number| key(&format!("wallet {number}"))).collect();
    let fee = stage.genesis.parameters.fee_min;
    for (number, wallet) in wallets.iter().enumerate() {
        // A sender's fee comes on top, so that the balances are round.
        let gift = if number % 2 == 0 { START.checked_add(fee) } else { Some(START) };
        let gift = gift.ok_or_else(|| ToolError::failed("100 good and a fee are too much"))?;
        stage.send(&stage.owner, transfer(wallet.public(), gift, "a gift")?)?;
    }
    for pair in wallets.chunks_exact(2) {
        stage.send(&pair[0], transfer(pair[1].public(), SENT, "")?)?;
    }
    let outcome = wallets.iter().enumerate().map(|(number, wallet)| {
        let sends = number % 2 == 0;
        let expected = if sends { START.checked_sub(SENT) } else { START.checked_add(SENT) };
        Ok(Wallet {
            wallet: number,
            address: wallet.public().to_string(),
            balance_grains: balance(stage, &wallet.public())?,
            expected_grains: expected.map_or(0, Grains::get),
        })
    });
    let outcome = outcome.collect::<Result<Vec<_>, ToolError>>()?;
    context.output.print(&outcome, |page| {
        outcome.iter().try_for_each(|wallet| {
            let balance = grains(wallet.balance_grains);
            writeln!(page, "wallet {}  {}  {balance}", wallet.wallet, wallet.address)
        })
    })?;
    match outcome.iter().find(|wallet| wallet.balance_grains != wallet.expected_grains) {
        None => Ok(()),
        Some(wrong) => Err(ToolError::failed(format!(
            "wallet {} should have {}",
            wrong.wallet,
            grains(wrong.expected_grains)
        ))),
    }
}
