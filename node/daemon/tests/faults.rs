//! What a real daemon does on damaged files, a full or read-only disk, and mistakes of its owner:
//! it goes on where that is safe, and else says what is wrong and what to do. Of a clock that is
//! wrong `tests/clock.rs` has more.

mod common;

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::Path;

use common::disk::SmallDisk;
use common::{Home, flip, has, records, say, seal, segment, until};
use goodwatt::client::ClientError;
use goodwatt::protocol::{Call, FaultKind, Submitted, TransactionInfo};
use goodwatt_chain::units::Grains;

const GOOD: Grains = Grains::from_good(1);

/// A chain of six blocks whose daemon was stopped, its last status, and its transactions.
fn stopped() -> (Home, goodwatt::protocol::Status, Vec<String>) {
    let home = Home::new();
    let mut daemon = home.start();
    let ids = seal(&home, &mut daemon, 6);
    let status = daemon.status();
    daemon.stop();
    (home, status, ids)
}

/// Fails unless a start brings the same ledger, signs, and goes on with it.
#[track_caller]
fn goes_on(home: &Home, before: &goodwatt::protocol::Status) -> String {
    let mut daemon = home.start();
    let status = daemon.status();
    assert_eq!(status.state_root, before.state_root);
    assert_eq!((status.height, status.signing), (before.height, true), "{}", daemon.log());
    seal(home, &mut daemon, 1);
    assert_eq!(daemon.status().height, before.height + 1);
    let log = daemon.stop();
    home.tool(&["verify", &home.text("")]).with(0);
    log
}

fn open(path: &Path) -> File {
    OpenOptions::new().write(true).open(path).expect("the file")
}

#[test]
fn what_a_power_cut_left_behind_the_last_block_is_cut_off() {
    let (home, before, _) = stopped();
    let log = segment(&home);
    let end = records(&log).last().expect("blocks").end;
    open(&log).write_all_at(b"GWRC and then the power went", end).expect("written");
    has(&goes_on(&home, &before), &["bytes of a torn record were cut off"]);
}

#[test]
fn a_last_block_that_is_torn_is_cut_off_and_the_state_follows_the_log() {
    let (home, before, ids) = stopped();
    let log = segment(&home);
    let last = *records(&log).last().expect("blocks");
    open(&log).set_len(last.end - 5).expect("cut");
    let mut daemon = home.start();
    let status = daemon.status();
    assert_eq!(status.height, before.height - 1);
    has(&daemon.log(), &["bytes of a torn record were cut off", "it is rebuilt"]);
    let mut client = daemon.client();
    let mut find = |id: &str| {
        client.call::<TransactionInfo>(Call::Transaction { id: id.to_owned() }).map(|info| info.id)
    };
    let (torn, whole) = ids.split_last().expect("six");
    assert!(whole.iter().all(|id| find(id).is_ok_and(|found| found == *id)));
    assert!(
        matches!(find(torn), Err(ClientError::Fault(fault)) if fault.kind == FaultKind::NotFound)
    );
    // That block was decided and told: another one in its place would be a second signature.
    let guard = home.tool(&["guard", "export"]).with(0).out;
    home.owner().pay(&mut client, home.wallet(1).address(), GOOD, false).expect("admitted");
    daemon.says("nothing is sealed");
    let because = daemon.status().not_signing_because.expect("it does not sign");
    has(&because, &[&before.block_id, "signs no other one in its place", "restore the block log"]);
    assert_eq!(home.tool(&["guard", "export"]).with(0).out, guard);
    daemon.stop();
    home.tool(&["verify", &home.text("data")]).with(0);
}

#[test]
fn a_flipped_byte_in_the_middle_is_named_with_file_and_byte() {
    let (home, ..) = stopped();
    let log = segment(&home);
    let name = log.file_name().expect("a name").to_string_lossy().into_owned();
    let third = records(&log)[2];
    assert_eq!(third.height, 3);

    let in_payload = third.start + 40;
    flip(&log, in_payload);
    let ended = home.tool(&["verify", &home.text("")]).with(4);
    has(&ended.err, &["first bad byte", &name, &format!("byte {in_payload},"), "height 3"]);
    let ended = home.tool(&["--json", "verify", &home.text("data")]).with(4);
    assert_eq!(ended.out, "", "no report of a bad ledger");
    // With its index the daemon has no need to read that block; without it has.
    fs::remove_dir_all(home.path("data/index")).expect("removed");
    let place = format!("byte {}", third.start);
    has(&home.refuses(), &["the block log is damaged at", "height 3", &name, &place, "peers"]);
    flip(&log, in_payload);

    flip(&log, third.start + 10);
    has(&home.refuses(), &["the block log is damaged at", "height 3", &name, &place, "peers"]);
    has(&home.tool(&["verify", &home.text("")]).with(4).err, &["first bad byte", &name]);
    flip(&log, third.start + 10);
    home.tool(&["verify", &home.text("")]).with(0);
}

#[test]
fn the_log_of_the_height_at_work_may_be_cut_or_lost() {
    let (home, before, _) = stopped();
    open(&home.path("data/wal")).set_len(10).expect("cut");
    goes_on(&home, &before);
    let (home, before, _) = stopped();
    fs::remove_file(home.path("data/wal")).expect("removed");
    goes_on(&home, &before);
}

#[test]
fn small_files_that_are_not_the_truth_may_be_damaged() {
    for file in ["chain", "mempool"] {
        let (home, before, _) = stopped();
        flip(&home.path("data").join(file), 3);
        goes_on(&home, &before);
    }
    // A first start may be cut short before the folder is marked.
    let home = Home::new();
    let daemon = home.start();
    daemon.stop();
    fs::remove_file(home.path("data/chain")).expect("removed");
    let mut daemon = home.start();
    assert!(daemon.status().signing, "{}", daemon.log());
}

#[test]
fn a_lost_index_is_rebuilt_with_the_same_root() {
    let (home, before, ids) = stopped();
    fs::remove_dir_all(home.path("data/index")).expect("removed");
    has(&goes_on(&home, &before), &["6 blocks replayed from the log"]);
    let daemon = home.start();
    let found = home.json(&["tx", &ids[0]]);
    assert_eq!(found["height"], 1, "{found}");
    daemon.stop();
}

/// A chain of second-long epochs with a snapshot, whose daemon was stopped.
struct Kept {
    home: Home,
    /// The height of the snapshot.
    height: u64,
    /// The last status.
    status: goodwatt::protocol::Status,
    ids: Vec<String>,
}

impl Kept {
    fn new() -> Self {
        let home = Home::new();
        home.set("epoch_length", "\"1 s\"");
        let mut daemon = home.start();
        // The least there is between two snapshots; each epoch begins with a block of its own.
        let ids = seal(&home, &mut daemon, 256);
        daemon.says("snapshot of height");
        let epoch = daemon.status().epoch;
        until("two more epochs", || (daemon.status().epoch >= epoch + 2).then_some(()));
        let log = daemon.stop();
        let written = log.lines().filter_map(|line| line.split_once("snapshot of height "));
        let written: Vec<&str> = written.map(|(_, rest)| rest).collect();
        assert_eq!(written.len(), 1, "not one in each epoch:\n{log}");
        let height = written[0].split(' ').next().and_then(|height| height.parse().ok());
        let height = height.expect("the height is told");
        // From now on it only serves, so that nothing changes.
        home.edit("goodwatt.toml", "enabled = true", "enabled = false");
        let mut daemon = home.start();
        let status = daemon.status();
        assert!(height >= 256 && status.height > height, "{height} of {}", status.height);
        daemon.stop();
        Self { home, height, status, ids }
    }

    fn lose_index(&self) {
        fs::remove_dir_all(self.home.path("data/index")).expect("removed");
    }

    /// Fails unless the daemon comes up with the same state, to the last lookup; gives its log.
    #[track_caller]
    fn comes_back(&self) -> String {
        let mut daemon = self.home.start();
        let status = daemon.status();
        assert_eq!((status.height, &status.block_id), (self.status.height, &self.status.block_id));
        assert_eq!(status.state_root, self.status.state_root);
        assert_eq!(status.transactions, self.status.transactions);
        let mut client = daemon.client();
        for id in &self.ids {
            let info: TransactionInfo =
                client.call(Call::Transaction { id: id.clone() }).expect("it is found");
            assert!(info.height.is_some(), "{info:?}");
        }
        daemon.stop()
    }
}

#[test]
fn a_lost_index_begins_with_the_snapshot() {
    let kept = Kept::new();
    kept.lose_index();
    let from = format!("the state is taken from the snapshot of height {}", kept.height);
    let rest = format!("{} blocks replayed from the log", kept.status.height - kept.height);
    has(&kept.comes_back(), &[&from, &rest]);
    let log = kept.comes_back();
    assert!(!log.contains("snapshot"), "it is in the index again:\n{log}");
    kept.home.edit("goodwatt.toml", "enabled = false", "enabled = true");
    let mut daemon = kept.home.start();
    seal(&kept.home, &mut daemon, 1);
    daemon.stop();
    kept.home.tool(&["verify", &kept.home.text("")]).with(0);
}

#[test]
fn a_damaged_snapshot_is_named_and_the_log_is_enough() {
    let kept = Kept::new();
    let all = format!("{} blocks replayed from the log", kept.status.height);
    let from_genesis = |words: &str| {
        kept.lose_index();
        has(&kept.comes_back(), &["the snapshot ", words, "replayed from genesis", &all]);
    };
    let snapshot = kept.home.path("data/snapshot");
    let len = fs::metadata(&snapshot).expect("there").len();
    flip(&snapshot, len - 9);
    from_genesis("cannot be read: it is damaged in the chunk of buckets from");
    flip(&snapshot, len - 9);
    flip(&snapshot, 9);
    from_genesis("cannot be read: it is damaged in its head (byte 0)");
    fs::remove_file(&snapshot).expect("removed");
    from_genesis("is missing");
}

#[test]
fn a_snapshot_above_a_log_that_was_cut_is_not_used() {
    let kept = Kept::new();
    let log = segment(&kept.home);
    let last = records(&log).into_iter().find(|record| record.height == 100).expect("a block");
    open(&log).set_len(last.end).expect("cut");
    let above = |height: u64| format!("is of height {height}, which the block log does not reach");
    let index = format!("the state index {}", above(kept.status.height));
    let snapshot = format!("the snapshot {}; the state is replayed from", above(kept.height));
    for words in [vec![index.as_str(), &snapshot], vec![&snapshot]] {
        let mut daemon = kept.home.start();
        assert_eq!(daemon.status().height, 100);
        has(&daemon.stop(), &[words, vec!["100 blocks replayed from the log"]].concat());
        kept.lose_index();
    }
}

#[test]
fn a_damaged_index_is_set_aside_within_three_starts() {
    let damage = |name: &str, damage: &dyn Fn(&Path)| {
        let (home, before, _) = stopped();
        damage(&home.path("data/index/sled/db"));
        for start in 1..=3 {
            let mut daemon = home.spawn();
            let came_up = until("it answers or ends", || daemon.came_up());
            if came_up {
                assert_eq!(daemon.status().state_root, before.state_root, "{name}");
                say(&format!("index, {name}: up at start {start}"));
                daemon.stop();
                goes_on(&home, &before);
                return;
            }
            assert!(start < 3, "{name}: {}", daemon.log());
        }
    };
    let noise = |path: &Path, from: u64, bytes: usize| {
        let noise: Vec<u8> = (0..bytes).map(|at| (at * 31 % 251) as u8).collect();
        open(path).write_all_at(&noise, from).expect("written");
    };
    damage("noise all over", &|db| noise(db, 0, fs::metadata(db).expect("it").len() as usize));
    damage("noise in the middle", &|db| noise(db, 200, 2_000));
    damage("cut in half", &|db| {
        let len = fs::metadata(db).expect("it").len();
        open(db).set_len(len / 2).expect("cut");
    });
    damage("emptied", &|db| open(db).set_len(0).expect("cut"));
}

/// Takes the guard away in some way: the daemon serves and does not sign, until an export of
/// before is imported.
#[track_caller]
fn check_guard(word: &str, damage: impl FnOnce(&Path)) {
    let home = Home::new();
    let mut daemon = home.start();
    seal(&home, &mut daemon, 3);
    let export = home.tool(&["guard", "export"]).with(0).out;
    has(&export, &["goodwatt-guard = 1\n", "\nheight = 3\n", "\nprecommit = "]);
    fs::write(home.path("exported"), &export).expect("written");
    let ended = home.tool(&["guard", "import", &home.text("exported")]).with(1);
    has(&ended.err, &["is in use by another process", "stop that one first"]);
    daemon.stop();

    damage(&home.path("data/guard"));
    let mut daemon = home.start();
    let text = home.tool(&["status"]).with(0).out;
    has(&text, &["signing   no", "wrong     the signing guard is", word, "goodwatt guard import"]);
    let status = daemon.status();
    assert_eq!((status.height, status.signing), (3, false));
    assert_eq!(home.tool(&["guard", "export"]).code, Some(1));
    let (mut client, to) = (daemon.client(), home.wallet(1).address());
    let waits = home.owner().pay(&mut client, to, GOOD, false).expect("admitted, as it serves");
    assert_eq!(daemon.status().height, 3, "nothing is signed");
    daemon.stop();

    has(&home.tool(&["guard", "import", &home.text("exported")]).with(0).out, &["raised"]);
    let again = home.tool(&["guard", "import", &home.text("exported")]).with(0);
    has(&again.out, &["nothing was changed"]);
    let mut daemon = home.start();
    until("it signs what waited", || (daemon.status().height == 4).then_some(()));
    assert!(daemon.status().signing);
    assert_eq!(home.json(&["tx", &waits.id])["height"], 4);
    daemon.stop();
}

#[test]
fn without_its_guard_a_daemon_serves_and_does_not_sign() {
    check_guard("missing", |guard| fs::remove_file(guard).expect("removed"));
    check_guard("damaged", |guard| [20, 4_096 + 20].iter().for_each(|at| flip(guard, *at)));
    check_guard("damaged", |guard| open(guard).set_len(0).expect("cut"));
}

#[test]
fn a_guard_of_another_chain_is_not_imported() {
    let (home, other) = (Home::new(), Home::new());
    let daemon = other.start();
    fs::write(home.path("other"), other.tool(&["guard", "export"]).with(0).out).expect("written");
    daemon.stop();
    let ended = home.tool(&["guard", "import", &home.text("other")]).with(1);
    has(&ended.err, &["the exported guard is of chain", "this folder is of chain"]);
    fs::write(home.path("nonsense"), "height = 4").expect("written");
    let ended = home.tool(&["guard", "import", &home.text("nonsense")]).with(1);
    has(&ended.err, &["line", "goodwatt-guard"]);
}

#[test]
fn on_a_full_disk_nothing_is_lost_and_sealing_goes_on_when_there_is_space() {
    let mut disk = None;
    let home = Home::init(|folder| disk = SmallDisk::mount(&folder.join("data"), "16m"), &[]);
    let Some(disk) = disk else { return };
    let mut daemon = home.start();
    let mut ids = seal(&home, &mut daemon, 3);
    let filler = disk.fill();
    let (mut client, owner, to) = (daemon.client(), home.owner(), home.wallet(1).address());
    // Until then there may be space in files that are there already.
    until("the disk is full", || {
        let sent: Submitted = owner.pay(&mut client, to, GOOD, false).expect("admitted");
        ids.push(sent.id);
        let status = daemon.status();
        let because = status.not_signing_because.unwrap_or_default();
        because.contains("no space left").then_some(())
    });
    has(
        &daemon.log(),
        &["nothing is sealed: no space left for", "free some on the data partition"],
    );
    let text = home.tool(&["status"]).with(0).out;
    has(&text, &["signing   no", "wrong     no space left"]);
    fs::remove_file(filler).expect("removed");
    ids.push(owner.pay(&mut client, to, GOOD, true).expect("sealed").id);
    daemon.says("sealing goes on");
    until("nothing waits", || (daemon.status().mempool_transactions == 0).then_some(()));
    ids.extend(seal(&home, &mut daemon, 20));
    let before = daemon.status();
    assert!(before.signing);
    let sealed: Vec<TransactionInfo> = ids
        .iter()
        .map(|id| client.call(Call::Transaction { id: id.clone() }).expect("nothing is lost"))
        .collect();
    assert!(sealed.iter().all(|info| info.height.is_some()), "{sealed:?}");
    assert_eq!(home.wallet(1).account(&mut client).balance_grains, ids.len() as u64 * GOOD.get());
    daemon.kill();
    goes_on(&home, &before);
}

#[test]
fn a_read_only_disk_is_named() {
    let mut disk = None;
    let home = Home::init(|folder| disk = SmallDisk::mount(&folder.join("data"), "16m"), &[]);
    let Some(disk) = disk else { return };
    let mut daemon = home.start();
    seal(&home, &mut daemon, 2);
    let before = daemon.status();
    daemon.stop();
    disk.remount("ro");
    has(&home.refuses(), &["lies on a read-only disk", "remount the data partition writable"]);
    disk.remount("rw");
    goes_on(&home, &before);
}

#[test]
fn a_mistake_in_the_configuration_is_named_with_line_and_remedy() {
    let home = Home::new();
    home.edit("goodwatt.toml", "socket = ", "sockt = ");
    let text = fs::read_to_string(home.path("goodwatt.toml")).expect("it");
    let line = text.lines().position(|line| line.starts_with("sockt")).expect("it") + 1;
    let place = format!("goodwatt.toml:{line}:1: unknown key `sockt` in [api]");
    has(&home.refuses(), &[&place, "did you mean `socket`?"]);
    has(&home.tool(&["config", "check"]).with(1).err, &[&place, "did you mean `socket`?"]);
    fs::remove_file(home.path("goodwatt.toml")).expect("removed");
    has(&home.refuses(), &["goodwatt.toml"]);

    let home = Home::new();
    fs::write(home.path("genesis.toml"), "name = 3").expect("written");
    has(&home.refuses(), &["genesis.toml:1:"]);
    fs::remove_file(home.path("genesis.toml")).expect("removed");
    has(&home.refuses(), &["genesis.toml"]);
}

#[test]
fn a_folder_of_another_chain_is_refused() {
    let (home, before, _) = stopped();
    let other = Home::new();
    let own = fs::read(home.path("genesis.toml")).expect("it");
    fs::copy(other.path("genesis.toml"), home.path("genesis.toml")).expect("copied");
    let chain = home.chain().to_string();
    has(
        &home.refuses(),
        &["holds chain", &chain, "use another data_dir or the right genesis file"],
    );
    fs::write(home.path("genesis.toml"), own).expect("written");
    goes_on(&home, &before);
}

#[test]
fn a_wrong_passphrase_is_named_and_moves_no_money() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let right = folder.path().join("right");
    let wrong = folder.path().join("wrong");
    for (path, text) in [(&right, "correct horse battery\n"), (&wrong, "another\n")] {
        fs::write(path, text).expect("written");
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        fs::set_permissions(path, private).expect("set");
    }
    let [right, wrong] = [right, wrong].map(|path| path.display().to_string());
    let home = Home::init(|_| {}, &["--passphrase-file", &right]);
    let mut daemon = home.start();
    let to = home.wallet(1).address().to_string();
    let send =
        |file: &str| home.tool(&["--passphrase-file", file, "send", &to, "1 good", "--wait"]);
    has(&send(&wrong).with(1).err, &["the passphrase is wrong", "24 words"]);
    assert_eq!(daemon.status().height, 0);
    has(&send(&right).with(0).out, &["sealed at height 1"]);
    let ended = home.tool(&["--passphrase-file", &wrong, "key", "show", "--words"]).with(1);
    has(&ended.err, &["the passphrase is wrong"]);
    let ended = home.tool(&["--passphrase-file", "/nowhere", "key", "show", "--words"]).with(1);
    has(&ended.err, &["/nowhere"]);
}

#[test]
fn two_daemons_do_not_share_a_socket_or_a_folder() {
    let home = Home::new();
    let mut daemon = home.start();
    has(&home.refuses(), &["is in use by another goodwattd", "set [api] socket to another path"]);
    let config = fs::read_to_string(home.path("goodwatt.toml")).expect("it");
    let elsewhere = config.replace("goodwatt.sock", "elsewhere.sock");
    fs::write(home.path("second.toml"), elsewhere).expect("written");
    let (code, log) = home.spawn_with(&home.path("second.toml"), &[]).ended();
    assert_eq!(code, Some(1));
    has(&log, &["is in use by another process (pid ", "stop that one first"]);
    assert!(!home.path("elsewhere.sock").exists(), "its socket goes with it");
    let ended = home.tool(&["verify", &home.text("")]).with(1);
    has(&ended.err, &["is in use by another process"]);
    assert!(daemon.status().signing, "the first one goes on");
    daemon.kill();
    let daemon = home.start();
    daemon.stop();

    fs::write(home.path("goodwatt.sock"), "precious").expect("written");
    has(&home.refuses(), &["exists and is no socket", "move it away"]);
    assert_eq!(fs::read_to_string(home.path("goodwatt.sock")).expect("it"), "precious");
}
