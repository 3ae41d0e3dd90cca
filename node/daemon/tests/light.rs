//! The tool as a light peer: real daemons, and nodes that lie between it and them.

mod common;
#[path = "light/liar.rs"]
mod liar;

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use common::{Daemon, Ended, Home, has, run, seal, tool_command, until};
use goodwatt::client::Client;
use goodwatt::net::Kind;
use goodwatt::protocol::{Call, Slots, TransactionInfo};
use goodwatt_chain::block::CommitSignature;
use goodwatt_chain::codec;
use goodwatt_chain::hash::{ChainId, Digest32, TxId};
use goodwatt_chain::leaves::{LeafChanges, MemoryLeaves};
use goodwatt_chain::light::{Answer, Question};
use goodwatt_chain::proof::{DecidedHeader, StateLeafProof};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::state::{Account, Key};
use goodwatt_chain::transaction::Transaction;
use goodwatt_chain::tree::StateTree;
use goodwatt_chain::units::Grains;
use goodwatt_chain::validators::{Validator, ValidatorSet};
use liar::{Liar, Lie};
use serde_json::Value;

/// A validator that others may ask, on a chain of its own.
struct Main {
    home: Home,
    daemon: Daemon,
    address: String,
}

impl Main {
    fn start(epoch: &str) -> Self {
        Self::start_with(&[("epoch_length", epoch)])
    }

    fn start_with(parameters: &[(&str, &str)]) -> Self {
        let home = Home::new();
        parameters.iter().for_each(|(name, value)| home.set(name, value));
        let port = {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            listener.local_addr().expect("an address").port()
        };
        let address = format!("127.0.0.1:{port}");
        let section = format!("[network]\nlisten = \"{address}\"\ndevelopment = true\n\n[api]\n");
        home.edit("goodwatt.toml", "[api]\n", &section);
        let daemon = home.start();
        Self { home, daemon, address }
    }

    /// Seals blocks; gives the ids of their transactions.
    fn seal(&mut self, blocks: usize) -> Vec<String> {
        seal(&self.home, &mut self.daemon, blocks)
    }

    fn owner(&self) -> String {
        self.home.owner().address().to_string()
    }

    /// Runs the tool as a light peer that keeps what it needs in `kept`.
    fn light(&self, kept: &Path, nodes: &str, args: &[&str]) -> Ended {
        let genesis = self.home.text("genesis.toml");
        let mut command = tool_command();
        command.current_dir(kept).env("XDG_DATA_HOME", kept);
        command.args(["--light", "--connect", nodes, "--genesis", &genesis]);
        run(command.args(args), "")
    }

    fn json(&self, kept: &Path, nodes: &str, args: &[&str]) -> Value {
        self.light(kept, nodes, &[&["--json"], args].concat()).json()
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a temporary folder")
}

#[test]
fn balance_transactions_and_payments_without_a_daemon() {
    let mut main = Main::start("\"1 h\"");
    let kept = folder();
    let (at, owner) = (main.address.clone(), main.owner());
    let ended = main.light(kept.path(), &at, &["balance", &owner]).with(1);
    has(&ended.err, &[&at, "this chain has no block yet"]);

    let ids = main.seal(3);
    let own = main.home.json(&["balance"]);
    let mut light = main.json(kept.path(), &at, &["balance", &owner]);
    let proof = light.as_object_mut().expect("an object").remove("proof").expect("a proof");
    assert_eq!(light, own, "the same answer as over the control socket");
    assert_eq!(proof["height"], 3);
    assert_eq!((&proof["signers"], &proof["validators"]), (&1.into(), &1.into()));
    assert_eq!(proof["weight_percent"], 100.0);
    assert_eq!(proof["warnings"], Value::Array(vec![]), "{proof}");
    let text = main.light(kept.path(), &at, &["balance", &owner]).with(0).out;
    has(
        &text,
        &["as of height 3, ", "verified by 1 of 1 validators holding 100.0 % of the weight"],
    );
    // Nobody has this key, and that is proven, too.
    let nobody = main.home.wallet(77).address().to_string();
    assert_eq!(main.json(kept.path(), &at, &["balance", &nobody])["balance_grains"], 0);

    for (height, id) in (1..).zip(&ids) {
        let light = main.json(kept.path(), &at, &["tx", id]);
        let own = main.home.json(&["tx", id]);
        assert_eq!((&light["height"], &light["position"]), (&height.into(), &own["position"]));
        assert_eq!(light["amount_grains"], own["amount_grains"]);
    }
    let unknown = "ab".repeat(32);
    let ended = main.light(kept.path(), &at, &["tx", &unknown]).with(1);
    has(&ended.err, &["knows no such transaction", "nobody can prove"]);

    let key = main.home.text("owner.key");
    let to = main.home.wallet(5).address().to_string();
    let args = ["--key", &key, "send", &to, "2 good", "--memo", "from afar"];
    let sent = main.json(kept.path(), &at, &args);
    assert_eq!((&sent["height"], &sent["proof"]["height"]), (&4.into(), &4.into()));
    let id = sent["id"].as_str().expect("an id").to_owned();
    let known: TransactionInfo =
        main.daemon.client().call(Call::Transaction { id }).expect("it is sealed");
    assert_eq!((known.height, known.memo.as_deref()), (Some(4), Some("from afar")));
    let ended = main.light(kept.path(), &at, &["--key", &key, "send", &to, "900000000 good"]);
    has(&ended.with(1).err, &[&at, "it spends 900000000.001000 good"]);
}

/// Buys the slot on sale, so that another set comes two epochs later.
fn buy_slot(main: &Main) {
    // An epoch may end between the question which one is on sale and the purchase.
    let bought = || main.home.tool(&["slot", "buy", "2 good", "--wait"]);
    until("a slot is bought", || (bought().code == Some(0)).then_some(()));
}

fn next_set(main: &mut Main, seen: &mut Vec<String>) {
    buy_slot(main);
    let signer = until("another set in charge", || {
        let signer = signer_in_charge(main);
        (!seen.contains(&signer)).then_some(signer)
    });
    seen.push(signer);
}

fn signer_in_charge(main: &mut Main) -> String {
    let slots: Slots = main.daemon.client().call(Call::Slots).expect("slots");
    slots.current[0].signer.clone()
}

#[test]
fn sets_that_change_are_followed_from_genesis_and_from_where_one_was() {
    let mut main =
        Main::start_with(&[("epoch_length", "\"2 s\""), ("vesting_delay", "\"24 epochs\"")]);
    let (fresh, kept) = (folder(), folder());
    let (at, owner) = (main.address.clone(), main.owner());
    main.seal(1);
    main.json(kept.path(), &at, &["balance", &owner]);
    let mut seen = vec![signer_in_charge(&mut main)];
    while seen.len() < 3 {
        next_set(&mut main, &mut seen);
        let last = main.seal(1).remove(0);
        // Who looked before, and who never looked: to both the newest set has to be proven.
        for folder in [&kept, &fresh] {
            let proven = main.json(folder.path(), &at, &["tx", &last]);
            assert_eq!(proven["proof"]["signers"], 1, "{proven}");
            assert!(proven["proof"]["height"].as_u64() >= proven["height"].as_u64());
        }
        std::fs::remove_dir_all(fresh.path().join("goodwatt")).expect("it was kept");
    }
    // A node that leaves the sets out that came before, and one that leads nowhere.
    let check = |words: &[&str], change: fn(Vec<DecidedHeader>) -> Vec<DecidedHeader>| {
        let lie = move |_: &Question, answer| match answer {
            Answer::Steps(steps) => {
                let steps = change(steps.to_vec()).into_iter().collect();
                vec![(Kind::Answer, Answer::Steps(steps).encode())]
            }
            other => vec![(Kind::Answer, other.encode())],
        };
        let liar = Liar::before(&at, main.home.chain(), Box::new(lie));
        let ended = main.light(fresh.path(), &liar.address, &["balance", &owner]).with(5);
        has(&ended.err, words);
        has(&ended.err, &[&liar.address, "not proven"]);
    };
    check(&["the validators given hash to", "follow the terms in order"], |steps| {
        steps[steps.len() - 1..].to_vec()
    });
    check(&["it does not lead from the block at"], |_| Vec::new());
}

#[test]
fn who_slept_too_long_begins_at_a_checkpoint() {
    let mut main =
        Main::start_with(&[("epoch_length", "\"2 s\""), ("vesting_delay", "\"1 epochs\"")]);
    let (folder, at, owner) = (folder(), main.address.clone(), main.owner());
    main.seal(1);
    main.json(folder.path(), &at, &["balance", &owner]);
    let mut seen = vec![signer_in_charge(&mut main)];
    next_set(&mut main, &mut seen);
    next_set(&mut main, &mut seen);
    let begun = main.daemon.status().epoch;
    until("the first sets are forgotten", || {
        (main.daemon.status().epoch > begun + 1).then_some(())
    });
    let ended = main.light(folder.path(), &at, &["balance", &owner]).with(1);
    has(&ended.err, &["does not keep what is that old", "a checkpoint"]);
    has(&main.light(folder.path(), &at, &["tx", "12"]).with(2).err, &["12"]);

    let status = main.daemon.status();
    let wrong = format!("{}:{}", status.height, "ab".repeat(32));
    let mut args = vec!["--checkpoint", &wrong, "balance", &owner];
    let ended = main.light(folder.path(), &at, &args).with(5);
    has(&ended.err, &["where the checkpoint names abababab"]);
    let right = format!("{}:{}", status.height, status.block_id);
    args[1] = &right;
    let proven = main.json(folder.path(), &at, &args);
    assert!(proven["proof"]["height"].as_u64() >= Some(status.height), "{proven}");
    // From then on it knows its way, and is told how old what it knew was.
    let begun = main.daemon.status().epoch;
    until("two epochs", || (main.daemon.status().epoch > begun + 1).then_some(()));
    let proven = main.json(folder.path(), &at, &["balance", &owner]);
    has(&proven["proof"]["warnings"].to_string(), &["nothing left to lose", "--checkpoint"]);
}

/// Changes an answer about an account.
fn to_account(change: fn(&mut StateLeafProof, &mut Account)) -> Lie {
    Box::new(move |_, answer| {
        let Answer::Account { mut proof, mut pending } = answer else {
            return vec![(Kind::Answer, answer.encode())];
        };
        change(&mut proof, &mut pending);
        vec![(Kind::Answer, Answer::Account { proof, pending }.encode())]
    })
}

/// A set of strangers, and a header that all of them decided.
fn decide_anew(decided: &mut DecidedHeader) {
    let key = SigningKey::from_seed(&[66; 32]);
    let weight = Grains::from_good(1_000);
    let stranger = Validator { owner: key.public(), signer: key.public(), weight };
    decided.validators = ValidatorSet::new([stranger]);
    decided.header.validators_hash = decided.validators.hash();
    sign_anew(decided, &key);
}

fn sign_anew(decided: &mut DecidedHeader, key: &SigningKey) {
    let header = &decided.header;
    decided.certificate.block = header.id();
    let vote = decided.certificate.precommit(key.public());
    let signature = key.sign(&vote.digest(&header.chain));
    decided.certificate.signatures =
        [CommitSignature { validator: 0, signature }].into_iter().collect();
}

/// The path of a balance in a state of one's own making.
fn rich(proof: &mut StateLeafProof, key: PublicKey) {
    let key = Key::Account(key);
    let rich = Account { nonce: 0, balance: Grains::from_good(7_000_000) };
    let value = codec::encode(&(key.kind(), rich));
    let mut leaves = MemoryLeaves::default();
    leaves.commit(&LeafChanges::from([(key.leaf(), Some(value.into()))]));
    let tree = StateTree::rebuild(&leaves).expect("memory is readable");
    proof.path = tree.prove(&leaves, &key.leaf()).expect("memory is readable");
}

#[test]
fn a_lying_node_is_caught() {
    let mut main = Main::start("\"1 h\"");
    main.seal(2);
    let owner = main.owner();
    let key = main.home.owner().address();
    let check = |name: &str, lie: Lie, words: &[&str]| {
        let (folder, liar) = (folder(), Liar::before(&main.address, main.home.chain(), lie));
        let ended = main.light(folder.path(), &liar.address, &["balance", &owner]);
        assert_eq!((ended.code, ended.out.as_str()), (Some(5), ""), "{name}: {ended:?}");
        has(&ended.err, words);
        has(&ended.err, &[&liar.address]);
        // An honest node beside it is enough; who lied is told.
        let nodes = format!("{},{}", liar.address, main.address);
        let ended = main.light(folder.path(), &nodes, &["balance", &owner]).with(0);
        has(&ended.err, &[&liar.address]);
        has(&ended.out, &["999997.998000 good", "as of height 2"]);
    };
    let root = "the proof does not lead to this state root";
    let forged = move |_: &Question, answer| {
        let Answer::Account { mut proof, pending } = answer else { panic!("an account") };
        rich(&mut proof, key);
        vec![(Kind::Answer, Answer::Account { proof, pending }.encode())]
    };
    check("a forged balance", Box::new(forged), &["not proven", root]);
    let of_another = to_account(|proof, _| rich(proof, PublicKey::from_bytes([9; 32])));
    check("another account", of_another, &[root]);
    let few = to_account(|proof, _| proof.decided.certificate.signatures.clear());
    check("too few signatures", few, &["0 of 1000000 grains of weight, not more than two thirds"]);
    let twice = to_account(|proof, _| {
        let signatures = &mut proof.decided.certificate.signatures;
        signatures.push(signatures[0]).expect("there is room");
    });
    check("one signer twice", twice, &["names validators out of order"]);
    let signature = to_account(|proof, _| {
        let stranger = SigningKey::from_seed(&[66; 32]);
        sign_anew(&mut proof.decided, &stranger);
    });
    check("a stranger's signature", signature, &["a signature in the certificate is not valid"]);
    let set = to_account(|proof, _| decide_anew(&mut proof.decided));
    check("a set of its own", set, &["not proven"]);
    let header = to_account(|proof, _| proof.decided.header.state_root = Digest32::ZERO);
    check("a header changed", header, &["the certificate is of another block"]);
    let chain = to_account(|proof, _| proof.decided.header.chain = ChainId::default());
    check("another chain", chain, &["the header belongs to chain 00000000"]);
    let number = to_account(|_, pending| pending.nonce = 5_000);
    check("a number that cannot be", number, &["next number is 5000, and 2 is proven"]);
    let cut: Lie = Box::new(|_, answer| {
        let mut bytes = answer.encode();
        bytes.truncate(bytes.len() / 2);
        vec![(Kind::Answer, bytes)]
    });
    check("half an answer", cut, &["cannot be read"]);
    let junk: Lie = Box::new(|_, _| vec![(Kind::Answer, vec![0xa5; 300_000])]);
    check("junk", junk, &["cannot be read"]);
    let other: Lie =
        Box::new(|_, _| vec![(Kind::Answer, Answer::Submitted(TxId::default()).encode())]);
    check("another answer", other, &["something else than was asked"]);
    let chatter: Lie = Box::new(|_, _| vec![(Kind::Tip, vec![1; 900]); 100]);
    check("no answer without end", chatter, &["sends and sends, and does not answer"]);
    let unasked: Lie = Box::new(|_, _| vec![(Kind::Block, vec![0; 1_000])]);
    check("what nobody asked for", unasked, &["`block`, which a light peer did not ask for"]);
}

#[test]
fn a_node_that_shows_the_past_is_caught_by_who_knows_more() {
    let mut main = Main::start("\"1 h\"");
    main.seal(2);
    let (folder, owner) = (folder(), main.owner());
    let mut past = None;
    let replay = move |_: &Question, answer: Answer| {
        vec![(Kind::Answer, past.get_or_insert(answer.encode()).clone())]
    };
    let liar = Liar::before(&main.address, main.home.chain(), Box::new(replay));
    let old = main.json(folder.path(), &liar.address, &["balance", &owner]);
    main.seal(1);
    // Who knows no more cannot tell, but sees of which block the answer is.
    let again = main.json(folder.path(), &liar.address, &["balance", &owner]);
    assert_eq!((&again["height"], &again["proof"]["height"]), (&old["height"], &2.into()));
    assert_eq!(main.json(folder.path(), &main.address, &["balance", &owner])["height"], 3);
    let ended = main.light(folder.path(), &liar.address, &["balance", &owner]).with(5);
    has(
        &ended.err,
        &["it answers for the block at height 2, and the one at height 3 was proven before"],
    );
    let both = format!("{},{}", main.address, liar.address);
    assert_eq!(main.json(folder.path(), &both, &["balance", &owner])["height"], 3);
}

#[test]
fn a_node_that_keeps_a_payment_to_itself_is_not_believed() {
    let mut main = Main::start("\"1 h\"");
    main.seal(1);
    let (tell, told) = std::sync::mpsc::channel();
    let swallow = move |question: &Question, answer: Answer| {
        let Question::Submit { transaction } = question else {
            return vec![(Kind::Answer, answer.encode())];
        };
        tell.send(()).expect("the test waits");
        let id = Transaction::id_of(&transaction.0);
        vec![(Kind::Answer, Answer::Submitted(id).encode())]
    };
    let liar = Liar::before(&main.address, main.home.chain(), Box::new(swallow));
    let (folder, key) = (folder(), main.home.text("owner.key"));
    let to = main.home.wallet(5).address().to_string();
    let ended = std::thread::scope(|scope| {
        let args = ["--key", &key, "send", &to, "2 good"];
        let (light, address) = (&main, &liar.address);
        let mut client = Client::connect(main.daemon.socket()).expect("it is up");
        let (owner, to) = (main.home.owner(), main.home.wallet(1).address());
        let sending = scope.spawn(move || light.light(folder.path(), address, &args));
        told.recv_timeout(Duration::from_secs(60)).expect("the payment is handed in");
        // It waits for a proof, and there comes one: of another payment with its number.
        owner.pay(&mut client, to, Grains::from_good(1), true).expect("sealed");
        sending.join().expect("no panic")
    });
    let ended = ended.with(1);
    has(&ended.err, &["is not sealed: another transaction of this account took its number"]);
    assert_eq!(ended.out, "");
}

#[test]
fn two_nodes_never_get_two_payments() {
    let mut main = Main::start("\"1 h\"");
    main.seal(1);
    let break_off: Lie = Box::new(|question, answer| match question {
        Question::Submit { .. } => vec![(Kind::Answer, vec![0xff; 9])],
        _ => vec![(Kind::Answer, answer.encode())],
    });
    let liar = Liar::before(&main.address, main.home.chain(), break_off);
    let (folder, key) = (folder(), main.home.text("owner.key"));
    let to = main.home.wallet(5).address().to_string();
    let nodes = format!("{},{}", liar.address, main.address);
    let ended = main.light(folder.path(), &nodes, &["--key", &key, "send", &to, "2 good"]);
    let ended = ended.with(0);
    has(&ended.out, &["sealed at height 2", "as of height 2"]);
    has(&ended.err, &[&liar.address, "cannot be read"]);
    let mut client = main.daemon.client();
    assert_eq!(main.home.wallet(5).account(&mut client).balance_grains, 2_000_000);
    assert_eq!(main.home.owner().account(&mut client).next_nonce, 2);
}

#[test]
fn what_a_light_peer_cannot_do_is_said() {
    let (main, folder) = (Main::start("\"1 h\""), folder());
    let at = main.address.clone();
    let check = |args: &[&str], code: i32, words: &[&str]| {
        let mut command = tool_command();
        command.current_dir(folder.path()).env("XDG_DATA_HOME", folder.path());
        has(&run(command.args(args), "").with(code).err, words);
    };
    let genesis = main.home.text("genesis.toml");
    let light = ["--light", "--connect", &at, "--genesis", &genesis];
    let with = |more: &[&'static str]| [&light[..], more].concat();
    check(&with(&["status"]), 2, &["a light peer knows balance, tx and send"]);
    check(&["--light", "balance"], 2, &["--connect"]);
    check(&["--connect", &at, "balance"], 2, &["--light"]);
    check(&["--light", "--connect", "nowhere", "balance"], 2, &["write host and port"]);
    let id = "goodpeer1qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq0q7hz";
    let named = format!("{id}@{at}");
    check(&["--light", "--connect", &named, "balance"], 2, &["not a node"]);

    // Nobody listens there, and another chain.
    let free = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let nowhere = free.local_addr().expect("an address").to_string();
    drop(free);
    let owner = main.owner();
    let unreachable = ["--light", "--connect", &nowhere, "--genesis", &genesis, "balance", &owner];
    check(&unreachable, 3, &[&nowhere, "cannot be reached"]);
    let other = Home::new();
    let genesis = other.text("genesis.toml");
    let foreign = ["--light", "--connect", &at, "--genesis", &genesis, "balance", &owner];
    check(&foreign, 3, &["another chain or another protocol version"]);
}
