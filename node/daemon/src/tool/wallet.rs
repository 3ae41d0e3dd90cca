//! The owner's key at work: what it signs, and how that reaches the daemon.

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::ChainId;
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::transaction::{Action, Transaction, Transfer};
use goodwatt_chain::units::Grains;

use super::args::Sending;
use super::context::Context;
use super::error::ToolError;
use crate::client::Client;
use crate::hex;
use crate::protocol::{AccountInfo, Call, ChainInfo, Submitted};

/// A chain as the daemon knows it, with its genesis checked here.
#[derive(Debug)]
pub(super) struct Chain {
    /// Its id, computed here.
    pub(super) id: ChainId,
    /// Everything agreed before the first block.
    pub(super) genesis: Genesis,
}

impl Chain {
    /// Asks the daemon, and recomputes the id from what it says.
    ///
    /// # Errors
    /// When the daemon does not answer, or names an id that is not its genesis'.
    pub(super) fn ask(client: &mut Client) -> Result<Self, ToolError> {
        let info: ChainInfo = client.call(Call::Chain)?;
        let genesis = Genesis::from_toml(&info.genesis, "genesis").map_err(ToolError::failed)?;
        let id = genesis.chain_id();
        if id.to_string() != info.chain_id {
            let message = "the daemon's chain id is not that of its genesis: do not trust it";
            return Err(ToolError::failed(message));
        }
        Ok(Self { id, genesis })
    }
}

/// The owner's key and the daemon it talks to.
#[derive(Debug)]
pub(super) struct Wallet {
    /// The connection.
    pub(super) client: Client,
    /// The chain.
    pub(super) chain: Chain,
    key: SigningKey,
}

impl Wallet {
    /// Opens the owner's key and connects.
    ///
    /// # Errors
    /// When the key cannot be opened or the daemon does not answer.
    pub(super) fn open(context: &Context) -> Result<Self, ToolError> {
        let mut client = context.connect()?;
        let chain = Chain::ask(&mut client)?;
        Ok(Self { client, chain, key: context.owner_key()? })
    }

    /// The owner's account.
    #[must_use]
    pub(super) fn address(&self) -> PublicKey {
        self.key.public()
    }

    /// The least fee, or what the command line says.
    #[must_use]
    pub(super) fn fee(&self, sending: &Sending) -> Grains {
        sending.fee.unwrap_or(self.chain.genesis.parameters.fee_min)
    }

    /// The nonce of the owner's next transaction.
    ///
    /// # Errors
    /// When the daemon does not answer.
    pub(super) fn next_nonce(&mut self) -> Result<u64, ToolError> {
        let address = self.address().to_string();
        let account: AccountInfo = self.client.call(Call::Account { address })?;
        Ok(account.next_nonce)
    }

    /// Signs an action and hands it in.
    ///
    /// # Errors
    /// When the rules refuse it or the daemon does not answer.
    pub(super) fn send(
        &mut self,
        action: Action,
        sending: &Sending,
    ) -> Result<Submitted, ToolError> {
        let nonce = self.next_nonce()?;
        let fee = self.fee(sending);
        let transaction = Transaction::sign(&self.chain.id, &self.key, nonce, fee, action);
        let transaction = hex::encode(transaction.bytes());
        Ok(self.client.call(Call::Submit { transaction, wait: sending.wait })?)
    }
}

/// A payment, or what is wrong with the memo.
///
/// # Errors
/// When the memo is too long.
pub(super) fn transfer(to: PublicKey, amount: Grains, memo: &str) -> Result<Action, ToolError> {
    let memo = memo
        .try_into()
        .map_err(|_| ToolError::Usage(format!("the memo has {} bytes; 80 fit", memo.len())))?;
    Ok(Action::Transfer(Transfer { to, amount, memo }))
}
