//! `goodwatt key enroll`, `unlock`, `restore`, `revoke` and `status`, as a person at a terminal uses
//! them, with a simulated sensor on another one.
#![cfg(feature = "finger")]

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use common::finger::{OTHER, OWN, Owner, PIN, Sensor, listed, type_pin, type_words};
use common::terminal::{CTRL_C, Terminal};
use common::{FakeClock, has, run};
use rustix::process::Signal;

/// A passphrase for boards without a sensor.
const PASSPHRASE: &str = "five random words and more";
/// The backup that is all bytes 7f, and its first account as Python's hashlib and cryptography make
/// it by the documented path.
const WORDS_7F: &str = "legal winner thank year wave sausage worth useful legal winner thank year \
    wave sausage worth useful legal winner thank year wave sausage worth title";
const ADDRESS_7F: &str = "good1g604plgt9xqpc5jfpqgmah4l8vucsvcyt2gr9flnj4wpys5wl52qdzgdxa";

#[test]
fn what_is_enrolled_unlocks_the_same_key_and_pays_with_it() {
    let owner = Owner::with_key_file();
    let sensor = Sensor::of(OWN);
    let address = owner.home.owner().address().to_string();
    let mut terminal = owner.terminal(&["key", "enroll", "--port", sensor.port()]);
    has(&terminal.wait("Placement 1 of 5: lay the finger on the glass."), &["Ctrl-C stops"]);
    has(&terminal.wait("Once more, to see that it opens"), &["Good (", "Placement 5 of 5"]);
    type_pin(&mut terminal, PIN);
    terminal.answer("Word ", "show");
    let words = listed(&terminal.wait("\nWord "));
    let first = terminal.wait(": ");
    let first: usize = first.trim_end_matches(": ").parse().expect("a number");
    terminal.keys(&format!("{}\n", words[first - 1]));
    for _ in 0..3 {
        terminal.wait("\nWord ");
        let number: usize = terminal.wait(": ").trim_end_matches(": ").parse().expect("a number");
        terminal.keys(&format!("{}\n", words[number - 1]));
    }
    terminal.answer("[y/N] ", "y");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    has(&shown, &[&address, "finger, PIN", "bits against others"]);
    assert!(!owner.home.path("owner.key").exists(), "it was to be removed");

    let status = owner.json(&["key", "status"]);
    assert_eq!((&status["enrolled"], &status["tries_left"]), (&true.into(), &10.into()));
    assert_eq!(
        (&status["address"], &status["unlocked_seconds"]),
        (&address.as_str().into(), &0.into())
    );
    let daemon = owner.home.start();
    assert_eq!(owner.json(&["balance"])["address"], address.as_str(), "nothing has to be open");
    let other = owner.home.wallet(1).address().to_string();
    // Locked, a payment asks for finger and PIN; unlocked it asks for nothing.
    has(&owner.tool(&["send", &other, "1 good", "--wait"]).with(0).err, &["Try 1 of 3"]);
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
    assert_eq!(owner.tool(&["send", &other, "1 good", "--wait"]).with(0).err, "");
    assert_eq!(owner.json(&["balance", &other])["balance_grains"], 2_000_000);
    let left = owner.json(&["key", "status"])["unlocked_seconds"].as_u64().expect("a number");
    assert!((800..=900).contains(&left), "{left} s");
    assert_eq!(owner.json(&["key", "lock"])["was_unlocked"], true);
    assert_eq!(owner.json(&["key", "lock"])["was_unlocked"], false);
    has(&owner.tool(&["send", &other, "1 good"]).with(0).err, &["Try 1 of 3"]);
    daemon.stop();
}

#[test]
fn a_wrong_finger_and_a_wrong_pin_end_alike() {
    let owner = Owner::new();
    let sensor = Sensor::of(OWN);
    let (address, _) = owner.enrol_finger(&sensor);
    let stranger = Sensor::of(OTHER);
    let without_sizes = |text: &str| -> Vec<String> {
        text.lines().map(|line| line.split(" (").next().unwrap_or("").to_owned()).collect()
    };
    let wrong_finger = owner.tool(&["key", "unlock", "--port", stranger.port()]).with(1);
    assert_eq!(owner.json(&["key", "status"])["tries_left"], 9);
    owner.pin("0815-y");
    let wrong_pin = owner.tool(&["key", "unlock"]).with(1);
    has(&wrong_finger.err, &["finger or PIN is wrong", "9 of 10 tries are left", "Try 3 of 3"]);
    assert_eq!(
        without_sizes(&wrong_finger.err.replace("9 of 10", "N of 10")),
        without_sizes(&wrong_pin.err.replace("8 of 10", "N of 10")),
        "nothing tells which of the two was wrong"
    );
    assert_eq!((wrong_finger.out.as_str(), wrong_pin.out.as_str()), ("", ""));
    owner.pin(PIN);
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
    assert_eq!(owner.json(&["key", "status"])["tries_left"], 10, "a right one sets it back");
}

#[test]
fn ten_wrong_tries_leave_the_words_alone_and_they_bring_the_key_back() {
    let owner = Owner::new();
    let (address, words) = owner.enrol(&["--no-finger"], PASSPHRASE);
    let clock = FakeClock::new(&owner.home);
    let unlock = || {
        let pin = owner.home.text("pin");
        let args = ["--passphrase-file", &pin, "key", "unlock"];
        run(owner.command(&args).envs(clock.environment()), "")
    };
    owner.pin("a wrong passphrase");
    let mut ahead = 0;
    for (left, wait) in [0, 0, 0, 2, 5, 15, 30, 60, 300, 900].into_iter().enumerate() {
        if wait > 1 {
            has(&unlock().with(1).err, &["wait"]);
        }
        ahead += wait;
        clock.set(ahead);
        let says = format!("{} of 10 tries are left", 9 - left);
        has(&unlock().with(1).err, &["the passphrase is wrong", &says]);
    }
    owner.pin(PASSPHRASE);
    clock.set(ahead + 1_000_000);
    has(&unlock().with(1).err, &["10 tries were wrong", "goodwatt key restore", "24 words"]);
    assert_eq!(owner.json(&["key", "status"])["tries_left"], 0);

    // A key file from the words opens at once, and lets the key be enrolled again.
    let input = format!("{}\n", words.join(" "));
    let mut restore = owner.command(&["--json", "key", "restore", "--unprotected"]);
    assert_eq!(run(&mut restore, &input).json()["address"], address.as_str());
    let mut terminal = owner.terminal(&["key", "enroll", "--no-finger"]);
    type_pin(&mut terminal, PASSPHRASE);
    type_words(&mut terminal, &words);
    terminal.answer("[y/N] ", "yes");
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
}

#[test]
fn the_words_give_the_documented_account() {
    let owner = Owner::new();
    let mut terminal = owner.terminal(&["key", "enroll", "--no-finger", "--words"]);
    terminal.answer("in one line or several:", WORDS_7F);
    type_pin(&mut terminal, PASSPHRASE);
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    has(&shown, &[ADDRESS_7F]);
    owner.pin(PASSPHRASE);
    assert_eq!(owner.json(&["key", "unlock"])["address"], ADDRESS_7F);
}

#[test]
fn mistyped_words_are_named_with_the_nearest_and_mended_one_by_one() {
    let owner = Owner::new();
    let mut terminal = owner.terminal(&["key", "restore", "--unprotected"]);
    // One unknown word with a near one, one without, and one that is in the list and wrong.
    let typed = WORDS_7F.replacen("winner", "wimner", 1).replacen("sausage", "xqzjkv", 1);
    let (first, second) = typed.split_at(typed.rfind("wave").expect("it has one"));
    terminal.answer("several:", first);
    terminal.keys(&format!("{}\n", second.replace("worth", "worry")));
    terminal.answer("did you mean `winner`?", "");
    terminal.wait("word 6 is not in the list; compare it with your paper");
    terminal.answer("Word 6 once more:", "sausage");
    terminal.wait("do not belong together");
    terminal.answer("The number of the wrong word:", "23");
    terminal.answer("Word 23 once more:", "worth");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    has(&shown, &[ADDRESS_7F]);
    // Programs are told at once.
    let wrong = WORDS_7F.replacen("legal", "legla", 1);
    let mut restore = owner.command(&["key", "restore", "other.key", "--unprotected"]);
    has(&run(&mut restore, &wrong).with(1).err, &["word 1", "did you mean `legal`?"]);
    let wrong = WORDS_7F.replacen("legal", "year", 1);
    has(&run(&mut restore, &wrong).with(1).err, &["do not belong together"]);
    assert!(!owner.home.path("other.key").exists());
}

#[test]
fn three_wrong_words_enrol_nothing() {
    let owner = Owner::new();
    let mut terminal = owner.terminal(&["key", "enroll", "--no-finger"]);
    type_pin(&mut terminal, PASSPHRASE);
    terminal.answer("Press Enter", "");
    for _ in 0..3 {
        terminal.wait("\nWord ");
        terminal.answer(": ", "nonsense");
    }
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(1), "{shown}");
    has(&shown, &["nothing was changed"]);
    assert_eq!(owner.json(&["key", "status"])["enrolled"], false);
}

#[test]
fn a_bad_new_pin_is_told_and_asked_for_again() {
    let owner = Owner::new();
    let sensor = Sensor::of(OWN);
    let mut terminal = owner.terminal(&["key", "enroll", "--port", sensor.port()]);
    terminal.answer("New PIN: ", "4711");
    terminal.answer("The same again: ", "4712");
    terminal.wait("differ");
    type_pin(&mut terminal, "471");
    terminal.wait("too short");
    type_pin(&mut terminal, "0000");
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(1), "{shown}");
    has(&shown, &["again and again", "nothing was changed"]);
    assert!(!owner.folder().exists());
}

#[test]
fn enrolling_again_keeps_the_key_and_never_takes_another_ones_place() {
    let owner = Owner::new();
    let (sensor, other) = (Sensor::of(OWN), Sensor::of(OTHER));
    let (address, words) = owner.enrol(&["--no-finger"], PASSPHRASE);
    // From a passphrase to a finger, opened as it was enrolled before.
    let mut terminal = owner.terminal(&["key", "enroll", "--port", sensor.port()]);
    terminal.answer("Passphrase: ", PASSPHRASE);
    type_pin(&mut terminal, PIN);
    type_words(&mut terminal, &words);
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    has(&shown, &[&address]);
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
    // To another finger, by the words.
    let mut terminal = owner.terminal(&["key", "enroll", "--words", "--port", other.port()]);
    terminal.answer("several:", &words.join(" "));
    type_pin(&mut terminal, PIN);
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(owner.json(&["key", "status"])["unlocked_seconds"], 0, "it was locked");
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
    has(&owner.tool(&["key", "unlock", "--port", sensor.port()]).with(1).err, &["wrong"]);
    // Another key has no place here before this one is revoked.
    let mut terminal = owner.terminal(&["key", "enroll", "--words", "--no-finger"]);
    terminal.answer("several:", WORDS_7F);
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(1), "{shown}");
    has(&shown, &[ADDRESS_7F, &address, "goodwatt key revoke"]);

    let mut terminal = owner.terminal(&["key", "revoke"]);
    has(&terminal.wait("Type `revoke`"), &["ONLY the 24 words"]);
    terminal.answer(": ", "no");
    has(&terminal.end().1, &["nothing was changed"]);
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
    assert_eq!(owner.json(&["key", "revoke", "--yes"])["revoked"], true);
    assert!(!owner.folder().exists());
    assert_eq!(owner.json(&["key", "status"])["enrolled"], false);
    has(&owner.tool(&["key", "unlock"]).with(1).err, &["no key is enrolled", "key enroll"]);
    has(&owner.tool(&["key", "revoke", "--yes"]).with(1).err, &["no key is enrolled"]);
}

/// Runs the tool so that it dies at the first file that would grow beyond a number of bytes, as if
/// the plug was pulled in the middle of writing it.
fn until_bytes(owner: &Owner, bytes: u32, args: &[&str]) -> Terminal {
    let command = owner.command(args);
    let mut limited = Command::new("prlimit");
    limited.arg(format!("--fsize={bytes}")).arg(command.get_program()).args(command.get_args());
    for (name, value) in command.get_envs() {
        limited.env(name, value.expect("it only sets"));
    }
    Terminal::run(&limited)
}

#[test]
fn pulling_the_plug_between_any_two_writes_leaves_the_old_key_or_the_new_one() {
    // Sizes of what is written, in order: device 32, tries 52, about 135 to 265, root 1,000 or more.
    for bytes in [0, 31, 32, 51, 52, 60, 300, 800] {
        let owner = Owner::new();
        let mut terminal = until_bytes(&owner, bytes, &["key", "enroll", "--no-finger", "--words"]);
        terminal.answer("several:", WORDS_7F);
        type_pin(&mut terminal, PASSPHRASE);
        let (code, shown) = terminal.end();
        assert_ne!(code, Some(0), "{bytes}: {shown}");
        assert_eq!(owner.json(&["key", "status"])["enrolled"], false, "{bytes}");
        // What is left there is in nobody's way.
        let (address, words) = owner.enrol(&["--no-finger"], PASSPHRASE);
        owner.pin(PASSPHRASE);
        assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str(), "{bytes}");

        let fresh = "another passphrase altogether";
        let mut terminal = until_bytes(&owner, bytes, &["key", "enroll", "--no-finger", "--words"]);
        terminal.answer("several:", &words.join(" "));
        type_pin(&mut terminal, fresh);
        let (code, shown) = terminal.end();
        assert_ne!(code, Some(0), "{bytes}: {shown}");
        let unlocked = owner.json(&["key", "unlock"]);
        assert_eq!(unlocked["address"], address.as_str(), "{bytes}: the old one is in force");
        let mut terminal = owner.terminal(&["key", "enroll", "--no-finger", "--words"]);
        terminal.answer("several:", &words.join(" "));
        type_pin(&mut terminal, fresh);
        assert_eq!(terminal.end().0, Some(0));
        has(&owner.tool(&["key", "unlock"]).with(1).err, &["the passphrase is wrong"]);
        owner.pin(fresh);
        assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str(), "{bytes}: the new");
    }
}

#[test]
fn pulling_the_plug_between_any_two_moves_leaves_the_new_key() {
    let owner = Owner::new();
    let (address, words) = owner.enrol(&["--no-finger"], PASSPHRASE);
    let files = ["device", "tries", "about", "root"];
    let read = || files.map(|name| fs::read(owner.folder().join(name)).expect("it is there"));
    let old = read();
    let fresh = "another passphrase altogether";
    owner.enrol_words(&words, fresh);
    let new = read();
    assert!(old.iter().zip(&new).all(|(old, new)| old != new), "no file serves both");
    owner.pin(fresh);
    for moved in 0..=files.len() {
        fs::create_dir(owner.folder().join("next")).expect("it is not there");
        for (at, name) in files.into_iter().enumerate() {
            let (here, next) =
                if at < moved { (&new[at], None) } else { (&old[at], Some(&new[at])) };
            fs::write(owner.folder().join(name), here).expect("written");
            if let Some(bytes) = next {
                let path = owner.folder().join("next").join(name);
                fs::write(&path, bytes).expect("written");
                let private = fs::Permissions::from_mode(0o600);
                fs::set_permissions(&path, private).expect("it is ours");
            }
        }
        assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str(), "{moved} moved");
        assert!(!owner.folder().join("next").exists(), "{moved} moved");
    }
    assert_eq!(owner.json(&["key", "revoke", "--yes"])["revoked"], true);
    assert!(!owner.folder().exists());
}

#[test]
fn ctrl_c_changes_nothing_wherever_it_comes() {
    let owner = Owner::new();
    let (address, _) = owner.enrol(&["--no-finger"], PASSPHRASE);
    owner.pin(PASSPHRASE);
    let nobody = Sensor::start(&["--none"]);
    // As slow as a real one: an image takes seven seconds.
    let slow = Sensor::start(&["--finger", OWN, "--baud", "57600"]);
    let untouched = || {
        let status = owner.json(&["key", "status"]);
        assert_eq!((&status["enrolled"], &status["tries_left"]), (&true.into(), &10.into()));
        assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
    };
    let check = |args: &[&str], steps: &dyn Fn(&mut Terminal), keys: bool| {
        let mut terminal = owner.terminal(&[&["key"], args].concat());
        steps(&mut terminal);
        match keys {
            true => terminal.keys(CTRL_C),
            false => terminal.signal(Signal::INT),
        }
        let (code, shown) = terminal.end();
        assert_eq!(code, Some(1), "{args:?}: {shown}");
        assert!(!shown.contains("panicked"), "{shown}");
        untouched();
        shown
    };
    let words = |terminal: &mut Terminal| {
        terminal.answer("Passphrase: ", PASSPHRASE);
        type_pin(terminal, "another passphrase");
        terminal.wait("\nWord ");
    };
    let waiting = |terminal: &mut Terminal| {
        terminal.answer("Passphrase: ", PASSPHRASE);
        terminal.wait("lay the finger on the glass");
    };
    let image = |terminal: &mut Terminal| {
        terminal.answer("Passphrase: ", PASSPHRASE);
        terminal.wait("Hold still");
    };
    let prompt = |terminal: &mut Terminal| drop(terminal.wait("Passphrase: "));
    let typing = |terminal: &mut Terminal| drop(terminal.wait("several:"));
    let unchanged = "nothing was changed";
    for keys in [true, false] {
        has(&check(&["enroll", "--no-finger"], &words, keys), &[unchanged]);
        has(&check(&["enroll", "--port", nobody.port()], &waiting, keys), &[unchanged]);
        has(&check(&["enroll", "--port", slow.port()], &image, keys), &[unchanged]);
        has(&check(&["enroll", "--no-finger", "--words"], &typing, keys), &[unchanged]);
        check(&["unlock"], &prompt, keys);
        check(&["revoke"], &|terminal| drop(terminal.wait("Type `revoke`")), keys);
    }
}

#[test]
fn a_port_that_is_no_sensor_is_named_with_a_remedy() {
    let owner = Owner::new();
    let check = |args: &[&str], words: &[&str]| {
        let ended = owner.tool(&[&["key", "enroll"], args].concat()).with(1);
        has(&ended.err, words);
        assert!(!owner.folder().exists(), "{args:?}: nothing is left behind");
    };
    check(&["--port", "/dev/no-such"], &["no serial port /dev/no-such", "enable_uart=1"]);
    // A port at which nothing answers.
    let (silent, program) = terminal_pair();
    check(&["--port", &program], &["no fingerprint sensor answers", "TX goes to RX"]);
    drop(silent);
    let small = Sensor::start(&["--finger", OWN, "--size", "192x192"]);
    check(&["--port", small.port()], &["192 x 192", "too small", "--no-finger"]);
    let small = Sensor::start(&["--finger", OWN, "--size", "140x140"]);
    check(&["--port", small.port()], &["140 x 140", "too small", "--no-finger"]);
    let liar = Sensor::start(&["--finger", OWN, "--fault", "liar"]);
    check(&["--port", liar.port()], &["the sensor refused to send the image"]);
    // Somebody else talks to the sensor.
    let sensor = Sensor::start(&["--none"]);
    let mut other = owner.terminal(&["key", "enroll", "--port", sensor.port()]);
    other.wait("lay the finger on the glass");
    check(&["--port", sensor.port()], &["in use by another program"]);
    other.keys(CTRL_C);
    assert_eq!(other.end().0, Some(1));
}

/// A terminal with nobody at its other end, and the path of it.
fn terminal_pair() -> (std::os::fd::OwnedFd, String) {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    let person = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).expect("a pseudo-terminal");
    grantpt(&person).expect("it is ours");
    unlockpt(&person).expect("it is ours");
    let name = ptsname(&person, Vec::new()).expect("it has one");
    (person, name.into_string().expect("letters"))
}

#[test]
fn a_port_that_may_not_be_opened_is_named_with_a_remedy() {
    let sensor = Sensor::start(&["--none"]);
    fs::set_permissions(sensor.port(), fs::Permissions::from_mode(0o600)).expect("it is ours");
    let mut command = common::tool_command();
    command.args(["finger", "probe", "--port", sensor.port()]).current_dir("/");
    if rustix::process::geteuid().is_root() {
        // Whoever has no rights: nobody.
        command.uid(65_534).gid(65_534);
    } else {
        fs::set_permissions(sensor.port(), fs::Permissions::from_mode(0o000)).expect("it is ours");
    }
    has(&run(&mut command, "").with(1).err, &["may not be opened", "dialout"]);
}

#[test]
fn a_sensor_that_fails_gives_no_key_and_ends_in_time() {
    let owner = Owner::new();
    let sensor = Sensor::of(OWN);
    let (address, _) = owner.enrol_finger(&sensor);
    for fault in ["wrong-address", "first-packet-missing", "length-ffff", "endless-data", "swap"] {
        let broken = Sensor::start(&["--finger", OWN, "--fault", fault]);
        let ended = owner.tool(&["key", "unlock", "--port", broken.port()]);
        has(&ended.with(1).err, &["goodwatt: "]);
    }
    assert_eq!(owner.json(&["key", "status"])["tries_left"], 10, "none of them was a try");
    let odd = ["--finger", OWN, "--from", "100", "--fault", "spurious-acknowledge"];
    let odd = Sensor::start(&odd);
    let unlocked = owner.json(&["key", "unlock", "--port", odd.port()]);
    assert_eq!(unlocked["address"], address.as_str());
}

#[test]
fn a_recorded_image_enrols_nothing_and_opens_nothing() {
    let owner = Owner::new();
    let replay = Sensor::start(&["--finger", OWN, "--fault", "replay"]);
    let ended = owner.tool(&["key", "enroll", "--port", replay.port()]);
    has(&ended.with(1).err, &["this very image was here before", "wire"]);
    let sensor = Sensor::of(OWN);
    owner.enrol_finger(&sensor);
    for fault in ["replay", "replay-with-noise"] {
        let replay = Sensor::start(&["--finger", OWN, "--fault", fault]);
        let ended = owner.tool(&["key", "unlock", "--port", replay.port()]);
        // Noise may be too much for the finger to be known at all.
        let said = ended.with(1).err;
        assert!(said.contains("was here before") || said.contains("finger or PIN"), "{said}");
    }
}

#[test]
fn what_was_changed_on_the_card_is_told_and_the_words_mend_it() {
    let owner = Owner::new();
    let (address, words) = owner.enrol(&["--no-finger"], PASSPHRASE);
    owner.pin(PASSPHRASE);
    let path = |name: &str| owner.folder().join(name);
    let whole: Vec<(&str, Vec<u8>)> = ["device", "tries", "about", "root"]
        .map(|name| (name, fs::read(path(name)).expect("it is there")))
        .to_vec();
    for (name, bytes) in &whole {
        let mode = fs::metadata(path(name)).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{name}");
        let mut flipped = bytes.clone();
        flipped[20] ^= 1;
        for changed in [flipped, bytes[..bytes.len() - 1].to_vec()] {
            fs::write(path(name), changed).expect("written");
            assert_eq!(owner.tool(&["key", "unlock"]).code, Some(1), "{name}");
            let status = owner.json(&["key", "status"]);
            assert!(status["fault"].is_string(), "{name}: {status}");
        }
        fs::write(path(name), bytes).expect("written");
    }
    // Nobody is shown, or paid at, an address that somebody changed to their own.
    let text = fs::read_to_string(path("about")).expect("it is there");
    fs::write(path("about"), text.replace(&address, ADDRESS_7F)).expect("written");
    for args in [["key", "unlock"].as_slice(), &["balance"], &["key", "enroll", "--no-finger"]] {
        has(&owner.tool(args).with(1).err, &["about was made on another board", "--words"]);
    }
    // Nor is what it names the path of a file.
    fs::write(path("about"), text.replace(&address, "../../owner")).expect("written");
    fs::write(path("about"), &text).expect("written");
    owner.json(&["key", "unlock"]);
    assert!(owner.unlocked(&address).exists());
    fs::write(path("about"), text.replace(&address, "../../owner")).expect("written");
    has(&owner.tool(&["key", "lock"]).with(1).err, &["about is damaged", "--words"]);
    assert!(!owner.unlocked(&address).exists(), "it is locked nevertheless");
    fs::write(path("about"), &text).expect("written");
    fs::remove_file(path("tries")).expect("it was there");
    has(&owner.tool(&["key", "unlock"]).with(1).err, &["tries", "was changed", "--words"]);
    // The words mend all of it, and take no secret of the board that somebody else may have laid there.
    let planted = [7; 32];
    fs::write(path("about"), text.replace(&address, ADDRESS_7F)).expect("written");
    fs::write(path("device"), planted).expect("written");
    owner.enrol_words(&words, PASSPHRASE);
    assert_ne!(fs::read(path("device")).expect("it is there"), planted);
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
    // Nor one for which the files beside it vouch: all of them may be laid there by one hand.
    let device = fs::read(path("device")).expect("it is there");
    owner.enrol_words(&words, PASSPHRASE);
    let fresh = fs::read(path("device")).expect("it is there");
    assert_ne!(fresh, device);
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
    // Who opens the key as it was has shown that the board's secret is its own.
    let mut terminal = owner.terminal(&["key", "enroll", "--no-finger"]);
    terminal.answer("Passphrase: ", PASSPHRASE);
    type_pin(&mut terminal, PASSPHRASE);
    type_words(&mut terminal, &words);
    assert_eq!(terminal.end().0, Some(0));
    assert_eq!(fs::read(path("device")).expect("it is there"), fresh);
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
}

#[test]
fn an_unlocked_key_is_gone_after_its_time_and_with_a_revocation() {
    let owner = Owner::new();
    let (address, words) = owner.enrol(&["--no-finger"], PASSPHRASE);
    owner.pin(PASSPHRASE);
    let kept = owner.unlocked(&address);
    owner.json(&["key", "unlock"]);
    assert!(kept.exists());
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(16 * 60);
    fs::File::open(&kept).and_then(|file| file.set_modified(old)).expect("it is ours");
    assert_eq!(owner.json(&["key", "status"])["unlocked_seconds"], 0);
    assert!(!kept.exists(), "who looks at it ends it");

    // Also where the enrolment is damaged, and whoever's it was.
    owner.json(&["key", "unlock"]);
    fs::File::open(&kept).and_then(|file| file.set_modified(old)).expect("it is ours");
    let about = owner.folder().join("about");
    let text = fs::read_to_string(&about).expect("it is there");
    fs::write(&about, "{}").expect("written");
    assert!(owner.json(&["key", "status"])["fault"].is_string());
    assert!(!kept.exists(), "who looks at a damaged one ends it, too");

    // Revoking ends it also where nobody vouches for whose key it is, or somebody left a file.
    fs::write(&about, &text).expect("written");
    owner.json(&["key", "unlock"]);
    fs::write(&about, text.replace(&address, ADDRESS_7F)).expect("written");
    fs::write(owner.folder().join("notes.txt"), "mine").expect("written");
    has(&owner.tool(&["key", "revoke", "--yes"]).with(0).err, &["owner.finger stays"]);
    assert!(!kept.exists());
    assert!(owner.folder().join("notes.txt").exists() && !owner.folder().join("root").exists());
    owner.enrol_words(&words, PASSPHRASE);
    assert_eq!(owner.json(&["key", "unlock"])["address"], address.as_str());
}

#[test]
fn two_at_one_key_do_not_share_a_try() {
    let owner = Owner::new();
    owner.enrol(&["--no-finger"], PASSPHRASE);
    owner.pin("a wrong passphrase");
    let mut first = owner.terminal(&["key", "unlock"]);
    // It asks, and holds the key meanwhile.
    first.wait("Passphrase: ");
    has(&owner.tool(&["key", "unlock"]).with(1).err, &["another goodwatt is at the key"]);
    has(&owner.tool(&["key", "revoke", "--yes"]).with(1).err, &["another goodwatt is at the key"]);
    first.keys(&format!("{PASSPHRASE}\n"));
    assert_eq!(first.end().0, Some(0));
    has(&owner.tool(&["key", "unlock"]).with(1).err, &["9 of 10 tries are left"]);
}

#[test]
fn a_look_at_the_status_writes_no_counter() {
    let owner = Owner::new();
    owner.enrol(&["--no-finger"], PASSPHRASE);
    let clock = FakeClock::new(&owner.home);
    let pin = owner.pin("a wrong passphrase");
    let tool = |args: &[&str]| run(owner.command(args).envs(clock.environment()), "");
    let pin = pin.to_str().expect("letters");
    clock.set(1_000);
    for left in [9, 8, 7] {
        let says = format!("{left} of 10 tries are left");
        has(&tool(&["--passphrase-file", pin, "key", "unlock"]).with(1).err, &[&says]);
    }
    let tries = || fs::read(owner.folder().join("tries")).expect("it is there");
    let before = tries();
    clock.set(0);
    assert_eq!(tool(&["--json", "key", "status"]).json()["wait_seconds"], 2);
    assert!(tries() == before, "two at once would take a try back");
}

#[test]
fn an_image_that_opened_opens_nothing_after_enrolling_again() {
    let owner = Owner::new();
    let (address, words) = owner.enrol_finger(&Sensor::of(OWN));
    let opens = |from: &str| {
        let sensor = Sensor::start(&["--finger", OWN, "--from", from]);
        owner.tool(&["--json", "key", "unlock", "--port", sensor.port()])
    };
    assert_eq!(opens("100").json()["address"], address.as_str());
    let later = Sensor::start(&["--finger", OWN, "--from", "200"]);
    let mut terminal = owner.terminal(&["key", "enroll", "--words", "--port", later.port()]);
    terminal.answer("several:", &words.join(" "));
    type_pin(&mut terminal, PIN);
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(0), "{shown}");
    has(&opens("100").with(1).err, &["this very image was here before"]);
    assert_eq!(opens("300").json()["address"], address.as_str());
    // Without its list nothing opens, and the remedy that is named is one.
    fs::remove_file(owner.folder().join("seen")).expect("it was there");
    has(&opens("400").with(1).err, &["is missing or was changed", "goodwatt key enroll --words"]);
}

#[test]
fn a_boards_secret_that_is_not_there_is_told_before_anything_is_asked() {
    let owner = Owner::new();
    if !std::path::Path::new("/dev/vcio").exists() {
        let ended = owner.tool(&["key", "enroll", "--no-finger", "--device", "otp"]).with(1);
        has(&ended.err, &["/dev/vcio"]);
    }
    if !std::path::Path::new("/dev/tpmrm0").exists() {
        let ended = owner.tool(&["key", "enroll", "--no-finger", "--device", "tpm"]).with(1);
        has(&ended.err, &["/dev/tpmrm0"]);
    }
    assert!(!owner.folder().exists(), "nothing is left behind");
    // Root, counter and the word where the secret lies could not change together.
    owner.enrol(&["--no-finger"], PASSPHRASE);
    let ended = owner.tool(&["key", "enroll", "--no-finger", "--device", "tpm"]).with(1);
    has(&ended.err, &["secret in `file`", "goodwatt key revoke", "--device tpm"]);
    has(&owner.tool(&["key", "enroll", "--device", "atecc"]).with(2).err, &["atecc", "file"]);
}

#[test]
fn a_key_file_beside_an_enrolment_is_of_the_same_key() {
    let owner = Owner::with_key_file();
    let words = owner.json(&["key", "show", "--words"])["words"].as_str().expect("24").to_owned();
    let list: Vec<String> = words.split(' ').map(str::to_owned).collect();
    let mut terminal = owner.terminal(&["key", "enroll", "--no-finger"]);
    type_pin(&mut terminal, PASSPHRASE);
    type_words(&mut terminal, &list);
    // Nothing is undone by Ctrl-C at the last question, and it says so.
    terminal.wait("[y/N] ");
    terminal.keys(CTRL_C);
    let (code, shown) = terminal.end();
    assert_eq!(code, Some(1), "{shown}");
    has(&shown, &["stopped; the key is enrolled"]);
    let status = owner.json(&["key", "status"]);
    assert_eq!((&status["enrolled"], &status["key_file"]), (&true.into(), &true.into()));
    owner.pin(PASSPHRASE);
    assert_eq!(owner.json(&["key", "unlock"])["address"], status["address"]);

    fs::remove_file(owner.home.path("owner.key")).expect("it was there");
    has(&owner.tool(&["key", "new", "--unprotected"]).with(1).err, &["goodwatt key revoke"]);
    let mut restore = owner.command(&["key", "restore", "--unprotected"]);
    has(&run(&mut restore, WORDS_7F).with(1).err, &[ADDRESS_7F, "goodwatt key revoke"]);
    assert!(!owner.home.path("owner.key").exists());
    run(&mut restore, &words).with(0);
    assert_eq!(owner.json(&["key", "show"])["address"], status["address"]);
}
