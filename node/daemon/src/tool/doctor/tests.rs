//! Boards made of files.

use std::fs;
use std::path::Path;

use super::*;
use crate::tool::args::Common;

/// A machine whose kernel shows what a test wrote.
struct Board {
    folder: tempfile::TempDir,
}

impl Board {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn put(&self, name: &str, text: &str) -> &Self {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("made");
        fs::write(path, text).expect("written");
        self
    }

    fn machine(&self) -> Machine {
        Machine { sys: self.folder.path().join("sys"), proc: self.folder.path().join("proc") }
    }
}

/// What one look gives: how it stands, and the words that have to be in it.
#[track_caller]
fn check(look: impl FnOnce(&mut Findings), verdict: Verdict, words: &[&str]) {
    let mut findings = Findings::default();
    look(&mut findings);
    let all: Vec<_> = findings.iter().collect();
    let [finding] = all[..] else { panic!("{findings:?}") };
    assert_eq!(finding.verdict, verdict, "{finding:?}");
    let text = format!("{} {}", finding.found, finding.remedy.as_deref().unwrap_or(""));
    words.iter().for_each(|word| assert!(text.contains(word), "no {word:?} in {text}"));
    let needs_remedy = matches!(verdict, Verdict::Notice | Verdict::Wrong);
    assert_eq!(finding.remedy.is_some(), needs_remedy, "{finding:?}");
}

#[test]
fn under_voltage_is_found_where_the_kernel_tells() {
    let board = Board::new();
    let look = |findings: &mut Findings| machine::supply(&board.machine(), findings);
    check(look, Verdict::Unknown, &["no driver"]);
    board.put("sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
    check(look, Verdict::Unknown, &["no driver"]);
    board.put("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
    board.put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "0\n");
    check(look, Verdict::Good, &["no under-voltage"]);
    board.put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
    check(look, Verdict::Wrong, &["4.63 V", "cable"]);
}

#[test]
fn the_hottest_zone_counts() {
    let board = Board::new();
    let look = |findings: &mut Findings| machine::temperature(&board.machine(), findings);
    check(look, Verdict::Unknown, &["no sensor"]);
    board.put("sys/class/thermal/thermal_zone0/temp", "41312\n");
    check(look, Verdict::Good, &["41.3 degrees"]);
    board.put("sys/class/thermal/thermal_zone1/temp", "70000\n");
    check(look, Verdict::Notice, &["70.0 degrees", "heat sink"]);
    board.put("sys/class/thermal/thermal_zone0/temp", "80900\n");
    check(look, Verdict::Wrong, &["80.9 degrees", "slows down"]);
}

#[test]
fn want_of_memory_is_found_before_and_after() {
    let board = Board::new();
    let look = |findings: &mut Findings| machine::memory(&board.machine(), findings);
    check(look, Verdict::Unknown, &["does not say"]);
    board.put("proc/meminfo", "MemTotal:  500000 kB\nMemFree: 1 kB\nMemAvailable:  50000 kB\n");
    check(look, Verdict::Good, &["50 of 500 MB"]);
    board.put("proc/meminfo", "MemTotal:  500000 kB\nMemAvailable:  49999 kB\n");
    check(look, Verdict::Notice, &["systemd-cgtop"]);
    let events = "sys/fs/cgroup/system.slice/goodwattd.service/memory.events";
    board.put(events, "low 0\nhigh 3\nmax 2\noom 1\noom_kill 0\n");
    check(look, Verdict::Notice, &["systemd-cgtop"]);
    board.put(events, "low 0\noom 1\noom_kill 2\n");
    check(look, Verdict::Wrong, &["was killed"]);
}

#[test]
fn the_card_tells_its_wear_or_what_was_written() {
    let board = Board::new();
    let data = board.folder.path().join("data");
    fs::create_dir(&data).expect("made");
    let device = fs::metadata(&data).map(|data| std::os::unix::fs::MetadataExt::dev(&data));
    let device = device.expect("there");
    let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
    let part = "sys/devices/mmc0/mmcblk0/mmcblk0p3";
    board.put(&format!("{part}/partition"), "3\n");
    board.put("sys/devices/mmc0/mmcblk0/stat", " 10 0 80 5 20 0 4000 9 0 1 2\n");
    board.put("proc/uptime", "8640.21 17000.0\n");
    board.put("sys/dev/block/none", "");
    let link = board.folder.path().join(format!("sys/dev/block/{major}:{minor}"));
    std::os::unix::fs::symlink(board.folder.path().join(part), link).expect("linked");
    let wear = |findings: &mut Findings| {
        let mut all = Findings::default();
        card::look(&data, &board.machine(), &mut all);
        let wear = all.iter().find(|finding| finding.check == "wear").expect("looked at").clone();
        match wear.remedy {
            Some(remedy) => findings.wrong("wear", wear.found, remedy),
            None => findings.good("wear", wear.found),
        }
    };
    check(wear, Verdict::Good, &["mmcblk0 does not tell", "2.0 MB written", "20.5 MB a day"]);
    board.put("sys/devices/mmc0/mmcblk0/device/life_time", "0x02 0x01\n");
    check(wear, Verdict::Good, &["below 20 %"]);
    board.put("sys/devices/mmc0/mmcblk0/device/life_time", "0x02 0x09\n");
    check(wear, Verdict::Wrong, &["nine tenths", "new card"]);
    board.put("sys/devices/mmc0/mmcblk0/device/life_time", "0x0B 0x01\n");
    check(wear, Verdict::Wrong, &["all of its life"]);
}

#[test]
fn a_data_folder_that_is_not_there_is_found() {
    let board = Board::new();
    let look = |findings: &mut Findings| {
        card::look(&board.folder.path().join("none"), &board.machine(), findings);
    };
    check(look, Verdict::Wrong, &["No such file", "data_dir"]);
}

#[test]
fn who_listens_where_is_found() {
    let board = Board::new();
    let (config, _) = node_config(&board, "[api]\nhttp = \"127.0.0.1:9460\"\n");
    let ports = |runs| {
        let (config, machine) = (config.clone(), board.machine());
        move |findings: &mut Findings| node::ports(&config, runs, &machine, findings)
    };
    let head = "  sl  local_address rem_address   st tx_queue rx_queue\n";
    // 0x24F4 is 9460; 0A listens, 01 is connected.
    board.put("proc/net/tcp", &format!("{head}   0: 0100007F:24F4 0100007F:1234 01 0\n"));
    check(ports(true), Verdict::Wrong, &["nothing listens at 127.0.0.1:9460"]);
    check(ports(false), Verdict::Good, &["127.0.0.1:9460"]);
    board.put("proc/net/tcp6", &format!("{head}   0: 00:24F4 00:0000 0A 0\n"));
    check(ports(true), Verdict::Good, &["127.0.0.1:9460"]);
    check(ports(false), Verdict::Wrong, &["another program"]);
    let (open, _) = node_config(&board, "[api]\nhttp = \"0.0.0.0:9460\"\n");
    let look = |findings: &mut Findings| node::ports(&open, true, &board.machine(), findings);
    check(look, Verdict::Notice, &["open to all"]);
}

/// A configuration in a folder of its own, as the commands find it.
fn node_config(board: &Board, text: &str) -> (crate::config::Config, Context) {
    board.put("node/goodwatt.toml", &format!("[node]\ndata_dir = \"data\"\n{text}"));
    let dir = board.folder.path().join("node");
    let common = Common { dir: Some(dir), socket: None, json: false, passphrase_file: None };
    let context = Context::new(common);
    (context.config().expect("good"), context)
}

#[test]
fn a_guard_that_is_missing_beside_a_ledger_is_found() {
    let board = Board::new();
    let (config, context) = node_config(&board, "");
    let look = |findings: &mut Findings| node::guard(&config, false, &context, findings);
    check(look, Verdict::Good, &["none yet"]);
    board.put("node/data/chain", "x");
    check(look, Verdict::Wrong, &["missing", "guard import"]);
    board.put("node/data/guard", "x");
    check(look, Verdict::Good, &["there"]);
}

#[test]
fn a_key_that_others_may_read_is_found() {
    use std::os::unix::fs::PermissionsExt;
    let board = Board::new();
    let (config, _) = node_config(&board, "");
    let look = |findings: &mut Findings| node::key(&config, findings);
    check(look, Verdict::Notice, &["no owner's key", "key new"]);
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/keystore/testdata");
    let put = |name: &str, mode| {
        let text = fs::read_to_string(kept.join(name)).expect("test data");
        board.put("node/data/owner.key", &text);
        let path = board.folder.path().join("node/data/owner.key");
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("set");
    };
    put("protected.key", 0o600);
    check(look, Verdict::Good, &["is protected"]);
    put("unprotected.key", 0o600);
    check(look, Verdict::Notice, &["no passphrase"]);
    put("protected.key", 0o644);
    check(look, Verdict::Wrong, &["0644", "chmod 600"]);
    board.put("node/data/owner.key", "nonsense");
    let path = board.folder.path().join("node/data/owner.key");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("set");
    check(look, Verdict::Wrong, &["24 words"]);
}

#[test]
fn peers_that_do_not_pick_up_are_named() {
    let board = Board::new();
    let peers = |list: String| {
        let (config, _) = node_config(&board, &format!("[network]\npeers = [{list}]\n"));
        move |findings: &mut Findings| node::peers(&config, findings)
    };
    check(peers(String::new()), Verdict::Good, &["alone"]);
    let there = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let there = (there.local_addr().expect("bound"), there);
    let gone = {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
        listener.local_addr().expect("bound").to_string()
    };
    check(peers(format!("\"{gone}\"")), Verdict::Wrong, &[&gone, "refused", "one that picks up"]);
    check(peers(format!("\"{gone}\", \"{}\"", there.0)), Verdict::Good, &["picks up"]);
}
