//! `goodwatt demo`: a real validator on a chain of its own, watched by the second.

use std::path::{Path, PathBuf};
use std::time::Duration;

use goodwatt_chain::genesis::Genesis;
use goodwatt_chain::hash::{AssociationId, Digest32, Domain};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::transaction::{
    Action, BallotKind, Category, IdentityProof, RequestAssociation, Transaction, VoteAssociation,
    association_id, identity_statement,
};
use goodwatt_chain::units::{Epoch, Grains, UnixMillis};
use goodwatt_units::Millis;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::args::Demo;
use super::context::Context;
use super::error::ToolError;
use super::keys::Keyboard;
use super::output::{line, note};
use super::sending::buy_slot_action;
use super::wallet::transfer;
use crate::protocol::{AccountInfo, AssociationInfo, Call, FreshSigner, Slots, Status, Submitted};
use crate::signers::Signers;
use crate::validator::{self, Running, Settings};
use crate::{development, hex};

/// Epochs are so short that a person sees slots bought, frozen and used.
const EPOCH_LENGTH: Millis = Millis::from_secs(5);
/// What each slot costs.
const SLOT_PRICE: Grains = Grains::from_good(5);
/// What each of the payments that make up the traffic carries.
const PAYMENT: Grains = Grains::from_good(1);
const DEMO_KEY: Domain = Domain::new(b"goodwatt/demo/key");

/// What `--seconds N --json` prints at the end.
#[derive(Debug, Serialize)]
struct Summary {
    height: u64,
    transactions: u64,
    donated_grains: u64,
    power_microwatts: u64,
    power_method: String,
    power_error: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    joules_per_block: Option<f64>,
    resident_bytes: u64,
    wakeups_per_second: f64,
}

/// Runs the demonstration.
pub(super) fn run(context: &Context, demo: &Demo) -> Result<(), ToolError> {
    let stage = Stage::set(demo.keep.as_deref())?;
    let played = match demo.scene {
        Some(super::args::Scene::TenWallets) => super::ten_wallets::play(context, &stage),
        None => watch(context, demo, &stage),
    };
    let cleared = stage.clear();
    played.and(cleared)
}

/// A validator of its own, and the keys that act in the demonstration.
pub(super) struct Stage {
    folder: PathBuf,
    keep: bool,
    running: Running,
    /// The chain.
    pub(super) genesis: Genesis,
    /// Has all the money.
    pub(super) owner: SigningKey,
}

impl Stage {
    fn set(keep: Option<&Path>) -> Result<Self, ToolError> {
        let folder = match keep {
            Some(folder) => folder.to_owned(),
            None => std::env::temp_dir().join(format!("goodwatt-demo-{}", std::process::id())),
        };
        std::fs::create_dir(&folder)
            .map_err(|error| ToolError::failed(format!("{}: {error}", folder.display())))?;
        let owner = key("owner");
        let data = folder.join("data");
        let mut signers = Signers::open(&data.join("signers")).map_err(ToolError::failed)?;
        let signer = signers.create(Epoch::ZERO).map_err(ToolError::failed)?;
        let funded = [(key("association").public(), Grains::from_good(100))];
        let genesis =
            development::genesis("demo", now(), EPOCH_LENGTH, owner.public(), signer, &funded);
        let running = validator::start(Settings {
            data,
            genesis: genesis.clone(),
            sign: true,
            mempool: Default::default(),
            power: Default::default(),
            has_peers: false,
            keep_blocks: None,
        })
        .map_err(ToolError::failed)?;
        Ok(Self { folder, keep: keep.is_some(), running, genesis, owner })
    }

    fn clear(self) -> Result<(), ToolError> {
        self.running.stop();
        if self.keep {
            note(&format!("the chain is kept in {}", self.folder.display()));
            return Ok(());
        }
        std::fs::remove_dir_all(&self.folder)
            .map_err(|error| ToolError::failed(format!("{}: {error}", self.folder.display())))
    }

    pub(super) fn ask<T: DeserializeOwned>(&self, call: Call) -> Result<T, ToolError> {
        let value = self.running.handle.call_blocking(call).map_err(ToolError::failed)?;
        serde_json::from_value(value).map_err(ToolError::failed)
    }

    /// Signs an action with `key` and waits until its block is on disk.
    pub(super) fn send(&self, key: &SigningKey, action: Action) -> Result<Submitted, ToolError> {
        let address = key.public().to_string();
        let account: AccountInfo = self.ask(Call::Account { address })?;
        let (chain, fee) = (self.genesis.chain_id(), self.genesis.parameters.fee_min);
        let transaction = Transaction::sign(&chain, key, account.next_nonce, fee, action);
        let transaction = hex::encode(transaction.bytes());
        self.ask(Call::Submit { transaction, wait: true })
    }
}

/// A key of the demonstration, made from its name: nobody shall use it for anything else.
pub(super) fn key(name: &str) -> SigningKey {
    SigningKey::from_seed(Digest32::of(DEMO_KEY, &[name.as_bytes()]).as_bytes())
}

fn now() -> UnixMillis {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    UnixMillis::new(since.map_or(0, |since| since.as_millis() as u64))
}

fn watch(context: &Context, demo: &Demo, stage: &Stage) -> Result<(), ToolError> {
    let mut script = Script::new(stage);
    let mut keyboard = Keyboard::open();
    if !context.output.json {
        note(&format!(
            "A validator on a chain of its own. {}",
            if keyboard.listens() { "q or Ctrl-C stops it." } else { "Ctrl-C stops it." }
        ));
        note(&format!("Eco statement: {}", stage.genesis.eco.sentence));
    }
    let mut seconds = 0;
    while demo.seconds.is_none_or(|most| seconds < most) {
        if keyboard.wait_for_quit(Duration::from_secs(1)) {
            break;
        }
        seconds += 1;
        script.step()?;
        let status: Status = stage.ask(Call::Status)?;
        if !context.output.json {
            line(&second(seconds, &status))?;
        }
    }
    let status: Status = stage.ask(Call::Status)?;
    if context.output.json {
        line(&serde_json::to_string(&summary(&status)).map_err(ToolError::failed)?)?;
    }
    Ok(())
}

fn summary(status: &Status) -> Summary {
    Summary {
        height: status.height,
        transactions: status.transactions,
        donated_grains: status.donated_grains,
        power_microwatts: status.power.power_microwatts,
        power_method: status.power.power_method.clone(),
        power_error: status.power.power_error.clone(),
        joules_per_block: status.power.joules_per_block,
        resident_bytes: status.usage.resident_bytes,
        wakeups_per_second: wakeups_per_second(status),
    }
}

fn wakeups_per_second(status: &Status) -> f64 {
    status.usage.wakeups as f64 / status.uptime_s.max(1) as f64
}

/// One line a second.
fn second(seconds: u32, status: &Status) -> String {
    let per_block = status.power.joules_per_block;
    format!(
        "{seconds:>4} s  height {:<5} {:>5} transactions  donated {:<9} {:.2} W {}, {}  {}  {} MB  {:.1} wake-ups/s",
        status.height,
        status.transactions,
        super::show::grains(status.donated_grains),
        status.power.power_microwatts as f64 / 1e6,
        status.power.power_method,
        status.power.power_error,
        per_block.map_or_else(|| "- J/block".to_owned(), |joules| format!("{joules:.2} J/block")),
        status.usage.resident_bytes / 1_000_000,
        wakeups_per_second(status),
    )
}

/// What happens by the second: an association asks and is admitted, a slot is bought for each
/// epoch, and two wallets pay each other.
struct Script<'a> {
    stage: &'a Stage,
    neighbour: SigningKey,
    association: Option<AssociationId>,
    voted: bool,
    bought: u64,
    step: u64,
}

impl<'a> Script<'a> {
    fn new(stage: &'a Stage) -> Self {
        let neighbour = key("neighbour");
        Self { stage, neighbour, association: None, voted: false, bought: 0, step: 0 }
    }

    fn step(&mut self) -> Result<(), ToolError> {
        self.step += 1;
        self.pay()?;
        match self.association {
            None => self.request()?,
            Some(id) if !self.voted => self.vote(id)?,
            Some(_) => {}
        }
        self.buy_slot()
    }

    fn pay(&self) -> Result<(), ToolError> {
        let (owner, neighbour) = (&self.stage.owner, &self.neighbour);
        self.stage.send(owner, transfer(neighbour.public(), PAYMENT, "there")?)?;
        if self.step.is_multiple_of(2) {
            let back = PAYMENT.mul_div_floor(1, 2);
            self.stage.send(neighbour, transfer(owner.public(), back, "and back")?)?;
        }
        Ok(())
    }

    fn request(&mut self) -> Result<(), ToolError> {
        let (key, published) = (key("association"), key("published"));
        let mut request = RequestAssociation {
            name: "Trees for the demo".chars().collect(),
            category: Category::Climate,
            web: "https://trees.example".chars().collect(),
            evidence: [Digest32::of(DEMO_KEY, &[b"evidence"])].into_iter().collect(),
            identity: IdentityProof::Published {
                key: published.public(),
                signature: published.sign(&Digest32::ZERO),
            },
            deposit: self.stage.genesis.parameters.association_deposit,
        };
        let chain = self.stage.genesis.chain_id();
        let statement = identity_statement(&chain, &key.public(), &request.claims());
        request.identity = IdentityProof::Published {
            key: published.public(),
            signature: published.sign(&statement),
        };
        self.stage.send(&key, Action::RequestAssociation(Box::new(request)))?;
        self.association = Some(association_id(&chain, &key.public(), 0));
        Ok(())
    }

    fn vote(&mut self, association: AssociationId) -> Result<(), ToolError> {
        let kind = BallotKind::Admission;
        let vote = VoteAssociation { association, kind, approve: true };
        self.stage.send(&self.stage.owner, Action::VoteAssociation(vote))?;
        self.voted = true;
        Ok(())
    }

    /// Buys the slot of the epoch on sale, once.
    fn buy_slot(&mut self) -> Result<(), ToolError> {
        let slots: Slots = self.stage.ask(Call::Slots)?;
        if slots.open_epoch <= self.bought {
            return Ok(());
        }
        let buyer = self.stage.owner.public().to_string();
        let fresh: FreshSigner = self.stage.ask(Call::NewSigner { buyer })?;
        let preference = self.admitted()?;
        let action = buy_slot_action(&fresh, SLOT_PRICE, preference)
            .ok_or_else(|| ToolError::failed("the signer key is not understood"))?;
        match self.stage.send(&self.stage.owner, action) {
            Ok(_) => self.bought = fresh.epoch,
            // The epoch ended between the question and the purchase: the next step asks anew.
            Err(error) => tracing::debug!("slot not bought: {error}"),
        }
        Ok(())
    }

    fn admitted(&self) -> Result<Option<AssociationId>, ToolError> {
        let list: Vec<AssociationInfo> = self.stage.ask(Call::Associations)?;
        let admitted = list.iter().find(|association| association.status == "admitted");
        Ok(admitted.and_then(|association| association.id.parse().ok()))
    }
}

/// Balances by address, for scenes that check them.
pub(super) fn balance(stage: &Stage, key: &PublicKey) -> Result<u64, ToolError> {
    let account: AccountInfo = stage.ask(Call::Account { address: key.to_string() })?;
    Ok(account.balance_grains)
}
