//! Who looks for what must never be: two blocks at one height, two signatures of one key for one
//! height, round and step.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use goodwatt::net::{Kind, Network, NetworkEvent, NetworkSettings};
use goodwatt_chain::codec;
use goodwatt_chain::hash::{BlockId, ChainId};
use goodwatt_chain::signature::PublicKey;
use goodwatt_chain::units::{Height, Round};
use goodwatt_consensus::{Mark, Message as Word};
use goodwatt_store::{BlockLog, Folder};
use goodwatt_validator::{LoggedBlock, Message};
use tokio::sync::Notify;

use super::Home;

/// What was signed, by key and place.
type Said = BTreeMap<(PublicKey, Mark), Option<BlockId>>;

/// A node that hears everything validators say to each other.
pub(crate) struct Witness {
    said: Arc<Mutex<Said>>,
    stop: Arc<Notify>,
    thread: Option<JoinHandle<()>>,
}

impl Witness {
    /// Listens to all of these, and calls again whoever goes away.
    pub(crate) fn of(addresses: &[SocketAddr], chain: ChainId) -> Self {
        let (said, stop) = (Arc::new(Mutex::new(Said::new())), Arc::new(Notify::new()));
        let (notes, end, addresses) = (Arc::clone(&said), Arc::clone(&stop), addresses.to_vec());
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                tokio::select! {
                    () = listen(&addresses, chain, &notes) => panic!("the network ended"),
                    () = end.notified() => {}
                }
            });
        });
        Self { said, stop, thread: Some(thread) }
    }

    /// How many signatures it saw; two of one key for one place would have ended its thread.
    pub(crate) fn signatures(mut self) -> usize {
        self.stop.notify_one();
        let ended = self.thread.take().expect("it runs until here").join();
        assert!(ended.is_ok(), "the witness saw a double signature, see above");
        self.said.lock().expect("nobody panics with it").len()
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.stop.notify_one();
    }
}

async fn listen(addresses: &[SocketAddr], chain: ChainId, notes: &Mutex<Said>) {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let mut settings = NetworkSettings::new(folder.path().to_owned(), chain);
    settings.development = true;
    settings.outbound = addresses.len();
    let address = |address: &SocketAddr| address.to_string().parse().expect("an address");
    settings.peers = addresses.iter().map(address).collect();
    let (_network, mut events) = Network::start(settings).expect("it starts");
    while let Some(event) = events.recv().await {
        let NetworkEvent::Frame { kind: Kind::Statements, payload, .. } = event else { continue };
        let Ok(Message::Agreement(words)) = Message::decode(&payload) else { continue };
        for word in words {
            let Word::Statement(signed) = word else { continue };
            let statement = signed.statement();
            // What is not signed says nothing of the one it names.
            if signed.verify(&chain) {
                let place = (statement.signer(), statement.mark());
                let block = statement.block();
                let before = notes.lock().expect("nobody panics with it").insert(place, block);
                assert!(
                    before.is_none_or(|before| before == block),
                    "DOUBLE SIGNATURE at {place:?}: {before:?} and {block:?}"
                );
            }
        }
    }
}

/// Reads what stopped daemons left: the same block at each height, and no key under two blocks in
/// one round. Gives how many heights there are.
#[track_caller]
pub(crate) fn audit(homes: &[&Home]) -> u64 {
    let mut blocks: BTreeMap<Height, BlockId> = BTreeMap::new();
    let mut signed: BTreeMap<(Height, Round, u8), BlockId> = BTreeMap::new();
    for home in homes {
        let folder = Folder::at(&home.path("data/log")).expect("the log's folder");
        let (log, _) = BlockLog::open(folder).expect("a whole log");
        for record in log.blocks_from(Height::new(1)) {
            let (height, record) = record.expect("a whole record");
            let logged: LoggedBlock = codec::decode(&record).expect("a block");
            let (id, certificate) = (logged.id(), &logged.certificate);
            assert_eq!((certificate.height, certificate.block), (height, id));
            let before = blocks.insert(height, id);
            assert!(before.is_none_or(|before| before == id), "FORK at {height}");
            for commit in &certificate.signatures {
                let place = (height, certificate.round, commit.validator);
                let before = signed.insert(place, id);
                assert!(before.is_none_or(|before| before == id), "DOUBLE SIGNATURE at {place:?}");
            }
        }
        home.tool(&["verify", &home.text("")]).with(0);
    }
    blocks.keys().next_back().map_or(0, |height| height.get())
}
