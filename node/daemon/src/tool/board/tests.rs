//! A board made of folders: what the owner's file does, good, wrong and missing.

use std::fs;
use std::path::Path;

use super::config::BoardConfig;
use super::*;

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIE6mUzd3u9Vh8l0SwJ0o4m2f3xGZ5hYyXkqv0m1c2d3e me@laptop";

/// The partitions and what the kernel shows.
struct Card {
    folder: tempfile::TempDir,
    places: Places,
}

impl Card {
    /// A card that was just written, with this file on it.
    fn with(text: Option<&str>) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let at = |name: &str| folder.path().join(name);
        let places = Places { boot: at("boot"), data: at("data"), root: at("root") };
        let card = Self { folder, places };
        card.put("boot/config.txt", "arm_64bit=1\n");
        card.put("root/proc/sys/kernel/hostname", "goodwatt");
        for file in ["trigger", "brightness", "delay_on", "delay_off"] {
            card.put(&format!("root/sys/class/leds/ACT/{file}"), "");
        }
        if let Some(text) = text {
            card.put("boot/goodwatt.toml", text);
        }
        card
    }

    fn put(&self, name: &str, text: &str) {
        let path = self.folder.path().join(name);
        fs::create_dir_all(path.parent().expect("inside")).expect("made");
        fs::write(path, text).expect("written");
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).unwrap_or_default()
    }

    fn is_there(&self, name: &str) -> bool {
        self.folder.path().join(name).exists()
    }

    /// One start: `/run` is empty again.
    fn start(&self) -> Vec<String> {
        drop(fs::remove_dir_all(self.places.root.join("run")));
        setup::run(&self.places).expect("it goes as far as it can");
        self.text("root/run/goodwatt-board/troubles").lines().map(str::to_owned).collect()
    }

    #[track_caller]
    fn has(&self, name: &str, words: &[&str]) {
        let text = self.text(name);
        words
            .iter()
            .for_each(|word| assert!(text.contains(word), "no {word:?} in {name}:\n{text}"));
    }
}

#[test]
fn a_card_without_a_file_is_a_validator_with_a_wire_and_nothing_open() {
    let card = Card::with(None);
    assert_eq!(card.start(), Vec::<String>::new());
    card.has("root/etc/goodwatt/goodwatt.toml", &["[validator]\nenabled = true"]);
    card.has("root/run/systemd/network/20-wired.network", &["DHCP=yes", "MulticastDNS=yes"]);
    assert_eq!(card.text("root/proc/sys/kernel/hostname"), "goodwatt");
    for closed in ["authorized_keys", "serial-login", "wifi.conf"] {
        assert!(!card.is_there(&format!("root/run/goodwatt-board/{closed}")), "{closed}");
    }
    assert!(!card.is_there("boot/goodwatt-report.txt"), "nothing to say yet");
    assert_eq!(card.text("root/sys/class/leds/ACT/trigger"), "none");
}

#[test]
fn what_a_good_file_says_is_done_and_kept() {
    let file = format!(
        "[board]\nname = \"kitchen\"\nssh_keys = [\"{KEY}\"]\nserial_login = true\n\
         time_servers = [\"192.168.1.1\"]\naddress = \"192.168.1.5/24\"\ngateway = \"192.168.1.1\"\n\
         dns = [\"192.168.1.1\"]\n\n[network]\npeers = [\"main.example.org:9461\"]\n\n\
         [power]\nsensor = \"ina219@1-0040\"\nshunt = \"100 mOhm\"\n"
    );
    let card = Card::with(Some(&file));
    card.put("root/sys/bus/i2c/devices/i2c-1/new_device", "");
    assert_eq!(card.start(), Vec::<String>::new());
    assert_eq!(card.text("root/proc/sys/kernel/hostname"), "kitchen");
    card.has("root/run/goodwatt-board/authorized_keys", &[KEY]);
    assert!(card.is_there("root/run/goodwatt-board/serial-login"));
    card.has("root/run/systemd/timesyncd.conf.d/goodwatt.conf", &["NTP=192.168.1.1"]);
    let wired = ["Address=192.168.1.5/24", "Gateway=192.168.1.1", "DNS=192.168.1.1"];
    card.has("root/run/systemd/network/20-wired.network", &wired);
    assert_eq!(card.text("root/sys/bus/i2c/devices/i2c-1/new_device"), "ina219 0x40");
    let daemon = card.text("root/etc/goodwatt/goodwatt.toml");
    let read = crate::config::Config::parse(&daemon, "made").expect("the daemon reads it").config;
    assert_eq!(read.network.peers.len(), 1);
    assert!(read.validator.enabled && !daemon.contains("kitchen"), "{daemon}");
    assert_eq!(read.power.sensor.as_deref(), Some("ina219@1-0040"));
    assert_eq!(card.text("data/board/goodwatt.toml"), file);
    // The first partition goes away: the board stays what it was.
    fs::remove_dir_all(&card.places.boot).expect("gone");
    let troubles = card.start();
    assert!(troubles[0].contains("first partition"), "{troubles:?}");
    assert_eq!(card.text("root/proc/sys/kernel/hostname"), "kitchen");
    card.has("root/run/goodwatt-board/authorized_keys", &[KEY]);
}

#[test]
fn mistakes_are_answered_beside_the_file_and_change_nothing() {
    let card = Card::with(Some("[board]\nnmae = \"kitchen\"\nserial_login = \"yes\"\n"));
    let troubles = card.start();
    let all = troubles.join("\n");
    for word in [
        "goodwatt.toml:2:1: unknown key `nmae` in [board]; did you mean `name`?",
        "goodwatt.toml:3:16",
        "true or false",
        "no validator starts",
    ] {
        assert!(all.contains(word), "no {word:?} in {all}");
    }
    card.has("boot/goodwatt-report.txt", &["WRONG", "did you mean `name`?", "\r\n"]);
    assert_eq!(card.text("root/sys/class/leds/ACT/trigger"), "timer");
    assert_eq!(card.text("root/sys/class/leds/ACT/delay_off"), "100");
    assert!(!card.is_there("root/etc/goodwatt/goodwatt.toml"), "no chain that nobody asked for");
    // Mended, it is a board; and a later mistake leaves that one as it is.
    card.put("boot/goodwatt.toml", "[board]\nname = \"kitchen\"\n");
    assert_eq!(card.start(), Vec::<String>::new());
    card.put("boot/goodwatt.toml", "[board]\nname = \"living room\"\n");
    let troubles = card.start().join("\n");
    assert!(troubles.contains("goodwatt.toml:2:8") && troubles.contains("as it was"), "{troubles}");
    assert_eq!(card.text("root/proc/sys/kernel/hostname"), "kitchen");
    assert!(card.is_there("root/etc/goodwatt/goodwatt.toml"));
}

#[test]
fn a_password_is_taken_off_the_card_and_works_on() {
    let file = "[board]\nname = \"attic\"\n#[wifi]\n#name = \"x\"\n[wifi]\nname = \"Café\"\ncountry = \"DE\"\n\
                password = \"eight or \\\\ more\"\n";
    let card = Card::with(Some(file));
    for start in 0..3 {
        assert_eq!(card.start(), Vec::<String>::new(), "start {start}");
        let wanted = ["ssid=436166c3a9", "psk=\"eight or \\ more\"", "country=DE"];
        card.has("root/run/goodwatt-board/wifi.conf", &wanted);
        let left = card.text("boot/goodwatt.toml");
        assert!(!left.contains("eight or"), "{left}");
        assert!(left.contains("the board keeps it now") && left.contains("Café"), "{left}");
        let kept = card.places.data.join("board/goodwatt.toml");
        let mode =
            std::os::unix::fs::PermissionsExt::mode(&kept.metadata().expect("kept").permissions());
        assert_eq!(mode & 0o777, 0o600);
    }
    // Another network is not given the password of this one.
    card.put("boot/goodwatt.toml", "[wifi]\nname = \"Other\"\n");
    let troubles = card.start().join("\n");
    assert!(troubles.contains("Other without a password"), "{troubles}");
    assert!(!card.is_there("root/run/goodwatt-board/wifi.conf"));
}

#[test]
fn a_genesis_file_is_taken_once_and_another_chain_is_refused() {
    let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/examples");
    let read = |name: &str| fs::read_to_string(examples.join(name)).expect("an example");
    let (first, second) = (read("genesis.toml"), read("genesis-development.toml"));
    let card = Card::with(None);
    card.put("boot/genesis.toml", "nonsense");
    let troubles = card.start().join("\n");
    assert!(troubles.contains("genesis.toml") && troubles.contains("not used"), "{troubles}");
    card.put("boot/genesis.toml", &first);
    assert_eq!(card.start(), Vec::<String>::new());
    assert_eq!(card.text("root/etc/goodwatt/genesis.toml"), first);
    card.put("boot/genesis.toml", &second);
    let troubles = card.start().join("\n");
    assert!(troubles.contains("keeps chain") && troubles.contains("another card"), "{troubles}");
    assert_eq!(card.text("root/etc/goodwatt/genesis.toml"), first);
}

#[test]
fn a_sensor_at_the_header_gets_its_line_from_the_console_and_gives_it_back() {
    let shipped = "console=tty0 console=ttyAMA0,115200 console=ttyS1,115200 ro quiet\n";
    let card = Card::with(Some("[finger]\nport = \"header\"\n"));
    card.put("boot/cmdline.txt", shipped);
    card.put("root/dev/null", "");
    let troubles = card.start().join("\n");
    assert!(troubles.contains("which line that is"), "{troubles}");
    assert_eq!(card.text("boot/cmdline.txt"), shipped);
    // As the device trees of a Pi 3 and 4 have it.
    card.put("root/proc/device-tree/chosen/stdout-path", "serial1:115200n8\0");
    let troubles = card.start().join("\n");
    assert!(troubles.contains("Start the board once more"), "{troubles}");
    assert_eq!(card.start(), Vec::<String>::new(), "once is enough");
    assert_eq!(card.text("boot/cmdline.txt"), "console=tty0 console=ttyAMA0,115200 ro quiet\n");
    let link = || fs::read_link(card.places.root.join("dev/serial0")).expect("a link");
    assert_eq!(link(), Path::new("/dev/ttyS1"));
    assert!(!card.text("root/etc/goodwatt/goodwatt.toml").contains("finger"));
    // A sensor on USB leaves the header to the console.
    card.put("boot/goodwatt.toml", "[finger]\nport = \"/dev/ttyUSB0\"\n");
    assert_eq!(card.start(), Vec::<String>::new());
    assert_eq!(link(), Path::new("/dev/ttyUSB0"));
    assert_eq!(card.text("boot/cmdline.txt"), shipped);
}

#[test]
fn every_rule_of_the_file_is_told() {
    let check = |text: &str, words: &[&str]| {
        let errors = BoardConfig::parse(text, "f").expect_err(text).to_string();
        words.iter().for_each(|word| assert!(errors.contains(word), "no {word:?} in {errors}"));
    };
    check("[board]\nssh_keys = [\"my key\"]\n", &["f:2:13", ".pub"]);
    check("[board]\naddress = \"192.168.1.5\"\n", &["192.168.1.5/24", "DHCP"]);
    check("[board]\naddress = \"192.168.1.5/33\"\n", &["192.168.1.5/24"]);
    check("[board]\ngateway = \"router\"\n", &["f:2:11"]);
    check("[finger]\nport = \"ttyUSB0\"\n", &["f:2:8", "/dev/ttyUSB0", "header"]);
    check("[finger]\nport = \"/dev/../sda\"\n", &["/dev/ttyUSB0"]);
    check("[wifi]\ncountry = \"Germany\"\n", &["two capital letters"]);
    check("[wifi]\npassword = \"a\\\"b\"\n", &["without quotes"]);
    check("[network]\npears = []\n", &["did you mean `peers`?"]);
    check("[validtor]\n", &["did you mean [validator]?"]);
    check("[board\n", &["f:1:"]);
}

#[test]
fn the_file_of_the_image_is_good_and_says_what_is_usual() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../images/boot/goodwatt.toml");
    let text = fs::read_to_string(path).expect("the image's file");
    let shipped = BoardConfig::parse(&text, "goodwatt.toml").expect("good");
    let usual = BoardConfig::parse("", "goodwatt.toml").expect("good");
    assert_eq!(shipped.daemon_toml(), usual.daemon_toml());
    assert_eq!((shipped.name, shipped.ssh_keys), (usual.name, usual.ssh_keys));
}
