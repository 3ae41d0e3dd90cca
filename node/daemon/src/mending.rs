//! Healing a block log that is too damaged to start with, before anything else is begun.

use goodwatt_chain::hash::ChainId;
use goodwatt_store::{BlockLog, Damage, DataDirLock, Folder};
use goodwatt_validator::{Message, Wound};
use tokio::time::Instant;

use crate::config::Config;
use crate::fetch::{Fetch, PATIENCE};

type Failure = Box<dyn std::error::Error>;

/// Fetches what is damaged from peers, compares it with what follows it in the log, and puts it in
/// its place. Waits until somebody has it.
///
/// # Errors
/// When nobody can be asked, what belongs there cannot be proven, or the disk refuses.
pub(crate) async fn heal(config: &Config, chain: ChainId, damage: &Damage) -> Result<(), Failure> {
    let data = &config.node.data_dir;
    let _lock = DataDirLock::take(data)?;
    let folder = Folder::at(&data.join("log"))?;
    let Some(wound) = Wound::find(&folder, damage)? else {
        return Err(format!("{damage}; so much is damaged that it cannot be healed").into());
    };
    let Some(mut fetch) = Fetch::start(config, chain)? else {
        return Err(format!("{damage}; name peers in [network] to have it healed").into());
    };
    tracing::warn!("{damage}");
    tracing::info!("waiting for peers to heal the block log");
    let records = fetch_records(&mut fetch, chain, &wound).await;
    fetch.stop().await;
    BlockLog::heal(&folder, wound.from, &records)?;
    tracing::info!("the block log is healed at {}: {} blocks", wound.from, wound.count);
    Ok(())
}

/// Asks one peer after the other, again and again, until one gives what belongs there.
async fn fetch_records(fetch: &mut Fetch, chain: ChainId, wound: &Wound) -> Vec<Vec<u8>> {
    let mut tried = Vec::new();
    loop {
        let until = Instant::now() + PATIENCE;
        match fetch.peers.iter().find(|peer| !tried.contains(*peer)).copied() {
            Some(peer) => {
                tried.push(peer);
                fetch.ask(peer, &wound.question());
            }
            // Everybody was asked: once more after a while, or when somebody comes.
            None => tried.clear(),
        }
        while let Some((peer, answer)) = fetch.answer(until).await {
            let Message::Blocks(blocks) = answer else { continue };
            let is_empty = blocks.is_empty();
            match wound.records(&chain, blocks) {
                Some(records) => return records,
                None if is_empty => break,
                None => {
                    fetch.blame(peer, "blocks that do not belong where the log is damaged");
                    break;
                }
            }
        }
    }
}
