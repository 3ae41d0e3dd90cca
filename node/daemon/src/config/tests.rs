//! Tests over whole config files.

use proptest::prelude::*;

use super::*;

/// The file that is shipped.
const EXAMPLE: &str = include_str!("../../../../docs/examples/goodwatt.toml");

fn parse(text: &str) -> Loaded {
    Config::parse(text, "goodwatt.toml").unwrap_or_else(|errors| panic!("{errors}\n{text}"))
}

/// All mistakes in a text, one a line.
fn mistakes(text: &str) -> String {
    Config::parse(text, "goodwatt.toml").expect_err(text).to_string()
}

#[test]
fn the_example_shows_every_key_with_its_default() {
    let example = parse(EXAMPLE);
    assert_eq!(example.config, Config::default());
    let empty = parse("");
    assert_eq!(empty.config, Config::default());
    for (shown, default) in example.settings.iter().zip(empty.settings.iter()) {
        let (section, key) = (shown.section, shown.key);
        assert_eq!(shown.value, default.value, "[{section}] {key}");
        let optional = EXAMPLE.contains(&format!("\n#{key} = "));
        let written = matches!(shown.origin, Origin::File(_));
        assert!(written != optional, "[{section}] {key} stands there once");
    }
}

/// The lines `#key = value` of the example are valid, and so are all of them together.
#[test]
fn what_the_example_leaves_out_is_valid_too() {
    let is_key = |line: &str| line.starts_with(|letter: char| letter.is_ascii_lowercase());
    let uncomment = |line: &'static str| line.strip_prefix('#').filter(|rest| is_key(rest));
    let text: Vec<_> = EXAMPLE.lines().map(|line| uncomment(line).unwrap_or(line)).collect();
    let loaded = parse(&text.join("\n"));
    let defaults: Vec<_> =
        loaded.settings.iter().filter(|setting| setting.origin == Origin::Default).collect();
    assert_eq!(defaults, Vec::<&Setting>::new());
    assert_eq!(parse(&loaded.settings.to_string()).config, loaded.config);
}

#[test]
fn each_mistake_is_one_line_with_its_place() {
    let check = |text: &str, want: &str| {
        assert_eq!(mistakes(text), format!("goodwatt.toml:{want}"), "{text}");
    };
    check("[api]\nsockt = \"/x\"", "2:1: unknown key `sockt` in [api]; did you mean `socket`?");
    check("[api]\n  banana = 1", "2:3: unknown key `banana` in [api]: remove it");
    check("[node]\nhttp = 1", "2:1: `http` belongs under [api]: move it there");
    check("http = 1", "1:1: `http` belongs under [api]: move it there");
    check("x = 1", "1:1: `x` stands outside of any section and no section knows it: remove it");
    check("\n[mempol]", "2:2: unknown section [mempol]; did you mean [mempool]?");
    check("[nonsense]", "1:2: unknown section [nonsense]: remove it");
    check(
        "node = 1",
        "1:1: [node] is a section: write `[node]` on a line of its own, not a whole number",
    );
    check("[[node]]", "1:3: [node] is a section: write `[node]` on a line of its own, not a list");
    check(
        "[validator]\nenabled = \"yes\"",
        "2:11: `enabled` in [validator] is a text and has to be true or false",
    );
    check(
        "[mempool]\nmax_age = 5",
        "2:11: `max_age` in [mempool] is a whole number and has to be a span such as \"90 s\"",
    );
    check(
        "[mempool]\nmax_age = \"5\"",
        "2:11: `max_age` in [mempool]: no unit: write it as `90 s`, `5 min` or `3 h`",
    );
    check("[mempool]\nmax_transactions = 0", MEMPOOL_RANGE);
    check(
        "[mempool]\nmax_bytes = \"65 MiB\"",
        "2:13: `max_bytes` in [mempool] is 65 MiB and has to be from 2 KiB to 64 MiB",
    );
    check(
        "[validator]\nslot_price = \"1\"",
        "2:14: `slot_price` in [validator]: the unit is missing: write `2.5 good` or \
         `2500000 grains`",
    );
    check(
        "[node]\nrole = \"king\"",
        "2:8: `role` in [node]: not a role: write \"main\" or \"light\"",
    );
    check(
        "[node]\nrole = \"light\"",
        "2:8: a daemon keeps the whole ledger: write \"main\", or leave it out; \
         a light peer needs no daemon: `goodwatt --light --connect ADDR balance`",
    );
    check(
        "[api]\nhttp = \"localhost\"",
        "2:8: `http` in [api]: write an address and a port such as \"127.0.0.1:9460\", or \"off\"",
    );
    check(
        "[network]\npeers = [\"a.example:1\", \"b.example\"]",
        "2:25: `peers` in [network]: not a node: write host and port, `node.example.org:9461` or \
         `[2001:db8::1]:9461`",
    );
    check(
        "[network]\npeers = \"a.example:1\"",
        "2:9: `peers` in [network] is a text and has to be a list in square brackets",
    );
    check(
        "[network]\noutbound = 33",
        "2:12: `outbound` in [network] is 33 and has to be from 0 to 32",
    );
    check(
        "[network]\npeers = [\"a.example:1\"]\noutbound = 0",
        "3:12: `peers` in [network] names nodes to call, and with `outbound` 0 none is called: \
         raise it, or remove `peers`",
    );
    check(
        "[power]\nshnut = \"0.1 Ohm\"",
        "2:1: unknown key `shnut` in [power]; did you mean `shunt`?",
    );
    check(
        "[power]\nshunt = \"0.1\"",
        "2:9: `shunt` in [power]: `0.1` has no unit: write it as `100 mOhm` or `0.1 Ohm`",
    );
    check("[node]\nrole = main", "2:8: string values must be quoted, expected literal string");
    check("[node]\nrole = \"main\"\nrole = \"main\"", "3:1: duplicate key");
}

const MEMPOOL_RANGE: &str =
    "2:20: `max_transactions` in [mempool] is 0 and has to be from 1 to 1000000";

#[cfg(feature = "finger")]
#[test]
fn a_slot_above_the_cap_is_refused_where_it_stands() {
    let text = "[validator]\nbuy_slots = true\nslot_price = \"2 good\"";
    let want = "goodwatt.toml:3:14: a slot costs more than `spending_cap_per_epoch` allows: raise \
                it, or pay less";
    assert_eq!(mistakes(text), want);
    let text = format!("{text}\nspending_cap_per_epoch = \"2.1 good\"");
    assert!(parse(&text).config.validator.buy_slots);
}

#[cfg(not(feature = "finger"))]
#[test]
fn what_this_version_does_not_do_is_refused_where_it_stands() {
    let check = |text: &str, place: &str| {
        let want = format!(
            "goodwatt.toml:{place}: this version does not do that yet: leave it out, or set it to \
             its default"
        );
        assert_eq!(mistakes(text), want, "{text}");
    };
    check("[validator]\nbuy_slots = true", "2:13");
}

#[test]
fn a_network_is_read_as_it_is_shown() {
    let text = "[network]\nlisten = \"[::]:9461\"\npeers = [\"a.example:1\", \"[::1]:2\"]\n\
                outbound = 4\ninbound = 0\ndevelopment = true";
    let loaded = parse(text);
    let network = &loaded.config.network;
    assert_eq!(network.listen, Some("[::]:9461".parse().expect("an address")));
    let peers: Vec<_> = network.peers.iter().map(PeerAddress::as_str).collect();
    assert_eq!(peers, ["a.example:1", "[::1]:2"]);
    assert_eq!((network.outbound, network.inbound, network.development), (4, 0, true));
    assert_eq!(parse(&loaded.settings.to_string()).config, loaded.config);
}

#[test]
fn every_mistake_is_told_in_its_order() {
    let text = "[api]\nhttp = 1\nx = 1\n[node]\nlog_level = \"loud\"\n[what]\n[power]\nidle = \"2\"\n\
                channel = 900";
    let told = mistakes(text);
    let places: Vec<_> = told.lines().map(|line| line.split(':').nth(1)).collect();
    assert_eq!(
        places,
        [Some("2"), Some("3"), Some("5"), Some("6"), Some("8"), Some("9")],
        "{told}"
    );
}

#[test]
fn columns_count_characters() {
    let told = mistakes("[node]\n\"größe\" = 1 # é\n");
    assert!(told.starts_with("goodwatt.toml:2:1: unknown key `größe` in [node]"), "{told}");
    let told = mistakes("[network]\npeers = [\"é\", \"ö\"]");
    let places: Vec<_> = told.lines().map(|line| line.split(':').nth(2)).collect();
    assert_eq!(places, [Some("10"), Some("15")], "{told}");
}

#[test]
fn what_is_in_force_is_shown_with_its_origin() {
    let loaded = parse("[api]\nhttp = \"off\"\n\n[power]\nshunt = \"0.1 Ohm\"\nchannel = 2");
    let shown = loaded.settings.to_string();
    let line = |start: &str| {
        let found = shown.lines().find(|line| line.starts_with(start));
        found.unwrap_or_else(|| panic!("no {start} in\n{shown}")).to_owned()
    };
    assert_eq!(
        line("http"),
        "http = \"off\"                                     # goodwatt.toml:2"
    );
    assert_eq!(
        line("shunt"),
        "shunt = \"0.1 Ohm\"                                # goodwatt.toml:5"
    );
    assert_eq!(line("role"), "role = \"main\"                                    # default");
    assert_eq!(line("# idle"), "# idle is not set                                # default");
    let json = loaded.settings.to_json();
    let want = serde_json::json!({ "value": 2, "from": "goodwatt.toml:6" });
    assert_eq!(json["power"]["channel"], want);
    let want = serde_json::json!({ "value": null, "from": "default" });
    assert_eq!(json["power"]["idle"], want);
}

#[test]
fn paths_count_from_the_data_directory_and_that_from_the_file() {
    let check = |data_dir: &str, data: &str, key: &str| {
        let config = parse(&format!("[node]\ndata_dir = {data_dir:?}")).config;
        let config = config.rooted(Path::new("/etc/goodwatt"));
        assert_eq!(config.node.data_dir, Path::new(data));
        assert_eq!(config.validator.key_file, Path::new(key));
        assert_eq!(config.api.socket, Path::new("/run/goodwatt/goodwatt.sock"));
    };
    check("/data", "/data", "/data/owner.key");
    check("data", "/etc/goodwatt/data", "/etc/goodwatt/data/owner.key");
}

#[test]
fn files_are_named_in_errors() {
    let folder = tempfile::tempdir().expect("a temporary directory");
    let path = folder.path().join("goodwatt.toml");
    let name = path.display();
    let load = || Config::load(&path).expect_err("a refusal").to_string();
    let missing = load();
    assert!(missing.starts_with(&format!("cannot read the config file {name}: ")), "{missing}");
    std::fs::write(&path, "[apj]").expect("a new file");
    assert_eq!(load(), format!("{name}:1:2: unknown section [apj]; did you mean [api]?"));
    std::fs::write(&path, " ".repeat(LARGEST_FILE + 1)).expect("our own file");
    assert_eq!(load(), format!("{name} has more than 262144 bytes: check which file is named"));
    std::fs::write(&path, EXAMPLE).expect("our own file");
    let loaded = Config::load(&path).expect("the example").config;
    assert_eq!(loaded, Config::default().rooted(folder.path()));
}

/// Keys and values, right and wrong, that make up a file.
fn lines() -> impl Strategy<Value = Vec<String>> {
    let key = prop::sample::select(vec![
        "[node]",
        "[api]",
        "[power]",
        "[mempool]",
        "[network]",
        "[validator]",
        "[what]",
        "[[api]]",
        "role",
        "data_dir",
        "http",
        "socket_mode",
        "max_age",
        "max_bytes",
        "per_account",
        "peers",
        "shunt",
        "channel",
        "calibration",
        "slot_price",
        "enabled",
        "x",
        "api.http",
        "\"é\"",
    ]);
    let value = prop::sample::select(vec![
        "",
        " = 1",
        " = -1",
        " = 1e400",
        " = 99999999999999999999999",
        " = \"off\"",
        " = \"main\"",
        " = true",
        " = []",
        " = [1, \"é\"]",
        " = {}",
        " = { idle = \"1 W\" }",
        " = \"2 KiB\"",
        " = \"9 s\"",
        " = 1979-05-27",
        " = \"\\u0000\"",
        " = \"0.1 Ohm\"",
        " = '''",
        " = \"1 good\"",
    ]);
    let line = (key, value).prop_map(|(key, value)| format!("{key}{value}"));
    prop::collection::vec(line, 0..12)
}

/// A key that the power crate learns has to be named here too, or it would be refused.
#[test]
fn every_key_of_power_is_known() {
    let error = toml::from_str::<PowerConfig>("x = 1").expect_err("not a key").to_string();
    let (_, expected) = error.split_once("expected one of ").expect("a list of keys");
    let expected: Vec<_> = expected.split('`').skip(1).step_by(2).collect();
    let known: Vec<_> = POWER.iter().map(|(key, _)| *key).collect();
    assert_eq!(known, expected);
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*") {
        drop(Config::parse(&text, "x"));
    }

    #[test]
    fn no_file_panics_and_each_mistake_is_one_line(lines in lines()) {
        let text = lines.join("\n");
        match Config::parse(&text, "x") {
            Ok(loaded) => prop_assert_eq!(parse(&loaded.settings.to_string()).config, loaded.config),
            Err(errors) => {
                for error in errors.iter() {
                    prop_assert!(!error.to_string().contains('\n'), "{}", error);
                    prop_assert!(error.at.line <= lines.len().max(1), "{}", error);
                }
            }
        }
    }

    #[test]
    fn what_is_shown_reads_the_same(
        path in "/[^\\x00]{1,20}",
        price in 0_u64..=9_000_000_000_000_000,
        age in 1_u64..600_000,
        bytes in 2_048_usize..=64 << 20,
        mode in 0o600_u32..=0o777,
        signs: bool,
        port: u16,
    ) {
        let path = serde_json::Value::from(path).to_string().replace('\u{7f}', "\\u007f");
        let text = format!(
            "[node]\ndata_dir = {path}\n[validator]\nenabled = {signs}\nslot_price = \"{price} \
             grains\"\n[mempool]\nmax_age = \"{age} s\"\nmax_bytes = \"{bytes} B\"\n[api]\n\
             socket_mode = \"{mode:04o}\"\nhttp = \"[::1]:{port}\""
        );
        let loaded = parse(&text);
        prop_assert_eq!(loaded.config.validator.slot_price.get(), price);
        prop_assert_eq!(loaded.config.mempool.age.get(), age * 1_000);
        prop_assert_eq!(loaded.config.mempool.bytes, bytes);
        prop_assert_eq!(parse(&loaded.settings.to_string()).config, loaded.config);
    }
}
