//! Genesis as text: what is read, what is refused and with which words, and the chain id.

use goodwatt_chain::genesis::{
    EcoStatement, EcoWay, Founder, Genesis, GenesisError, Parameters, Rule, SealingRule,
};
use goodwatt_chain::genesis_toml::GENESIS_TEXT_BYTES_MAX;
use goodwatt_chain::hash::Digest32;
use goodwatt_chain::reveal::{REVEAL_LINKS, RevealChain};
use goodwatt_chain::signature::{PublicKey, SigningKey};
use goodwatt_chain::units::{Grains, UnixMillis};
use goodwatt_units::{MicroWatts, Millis};
use proptest::prelude::*;

const EXAMPLE: &str = include_str!("../../../docs/examples/genesis.toml");
const DOCUMENT: &str = include_str!("../../../docs/genesis.md");
const DEVELOPMENT: &str = include_str!("../../../docs/examples/genesis-development.toml");

fn key(seed: u8) -> PublicKey {
    SigningKey::from_seed(&[seed; 32]).public()
}

/// The founder that the examples make from three seeds.
fn founder(number: u8) -> Founder {
    Founder {
        owner: key(number),
        signer: key(0x10 + number),
        weight: Grains::from_good(100),
        reveal_head: RevealChain::new([0x20 + number; 32], REVEAL_LINKS).head(),
    }
}

#[test]
fn the_example_is_made_of_the_seeds_it_names() {
    let genesis = Genesis::from_toml(EXAMPLE, "genesis.toml").expect("the example is good");
    assert_eq!(genesis.parameters, Parameters::default(), "the example shows the defaults");
    assert_eq!(genesis.founders.as_slice(), [1, 2, 3, 4].map(founder));
    let mut balances: Vec<_> = (1..=4).map(|n| (key(n), Grains::from_good(250_000))).collect();
    balances.sort_unstable();
    assert_eq!(genesis.balances, balances);
    assert_eq!(genesis.time, UnixMillis::new(1_795_219_200_000));
}

#[test]
fn the_development_chain_has_one_validator() {
    let genesis = Genesis::from_toml(DEVELOPMENT, "genesis.toml").expect("the example is good");
    assert_eq!(genesis.founders.as_slice(), [founder(5)]);
    assert_eq!(genesis.parameters.validators_min, 1);
    assert_eq!(genesis.parameters.epoch_length, Millis::from_secs(60));
}

#[test]
fn the_chain_id_is_the_same_everywhere() {
    let check = |text: &str, id: &str| {
        let genesis = Genesis::from_toml(text, "genesis.toml").expect("the example is good");
        assert_eq!(genesis.chain_id().to_string(), id);
        let again = Genesis::from_toml(&genesis.to_toml(), "again.toml").expect("it was written");
        assert_eq!(again, genesis);
        assert_eq!(again.chain_id().to_string(), id, "the same after writing and reading");
        assert!(DOCUMENT.contains(id), "docs/genesis.md names it");
    };
    check(EXAMPLE, "1c052b0211756068679b0a6f664cda1e2f255835573ace4cb2aac3f1395e3887");
    check(DEVELOPMENT, "ef535bd881c7d301786f3b1a37cf8dccf8b745e66e5fb76c058dff6943311670");
}

/// Rows of the document's tables that begin with a parameter of the example: name and default.
#[test]
fn the_document_tells_the_defaults() {
    let row = |line: &'static str| {
        let (name, rest) = line.strip_prefix("| `")?.split_once("` | ")?;
        let known = EXAMPLE.lines().any(|line| line.starts_with(&format!("{name} = ")));
        let default = rest.split(" | ").next()?.trim_matches('`');
        (known && name != "name" && name != "time").then(|| format!("{name} = {default}\n"))
    };
    let rows: Vec<_> = DOCUMENT.lines().filter_map(row).collect();
    assert_eq!(rows.len(), 22, "{rows:?}");
    let (head, _) = EXAMPLE.split_once("[parameters]\n").expect("there are parameters");
    let (_, tail) = EXAMPLE.split_once("[[founders]]").expect("there are founders");
    let text = format!("{head}[parameters]\n{}\n[[founders]]{tail}", rows.concat());
    let genesis = Genesis::from_toml(&text, "docs/genesis.md").expect("the defaults are good");
    assert_eq!(genesis.parameters, Parameters::default());
}

#[test]
fn neither_order_nor_spelling_changes_the_chain_id() {
    let before = Genesis::from_toml(EXAMPLE, "genesis.toml").expect("the example is good");
    let (head, balances) = EXAMPLE.split_once("[balances]\n").expect("balances come last");
    let mut lines: Vec<_> = balances.lines().collect();
    lines.reverse();
    let text = format!("{head}[balances]\n{}\n# the end", lines.join("\n"))
        .replace("\"1 h\"", "\"3600s\"")
        .replace("\"10 W\"", "\"10000 mW\"")
        .replace("\"1 good\"", "\"1000000 grains\"");
    assert_ne!(text, EXAMPLE);
    let after = Genesis::from_toml(&text, "genesis.toml").expect("it says the same");
    assert_eq!(after.chain_id(), before.chain_id());
}

/// A short genesis that is good; tests spoil one line of it.
const SHORT: &str = r#"name = "short"
time = "2026-11-21T00:00:00Z"

[eco]
way = "replaces"
sentence = "It replaces."
measure = "Watts."

[parameters]
validators_min = 1
sealing = "immediate"

[[founders]]
owner = "OWNER"
signer = "SIGNER"
weight = "1 good"
reveal_head = "0000000000000000000000000000000000000000000000000000000000000000"

[balances]
OWNER = "5 good"
"#;

fn short() -> String {
    SHORT.replace("OWNER", &key(1).to_string()).replace("SIGNER", &key(2).to_string())
}

#[test]
fn the_short_one_is_good() {
    let genesis = Genesis::from_toml(&short(), "g.toml").expect("nothing is wrong");
    assert_eq!(genesis.parameters.sealing, SealingRule::Immediate);
    let fewer = short().replace("sealing = \"immediate\"\n", "");
    assert_eq!(Genesis::from_toml(&fewer, "g.toml"), Ok(genesis), "parameters may be left out");
}

#[test]
fn a_chain_has_one_of_three_rules_and_never_that_of_work() {
    let with = |rule: &str| {
        let text = short().replace("[parameters]\n", &format!("[parameters]\nrule = \"{rule}\"\n"));
        Genesis::from_toml(&text, "g.toml")
    };
    for rule in Rule::ALL {
        let genesis = with(rule.name()).expect("nothing is wrong");
        assert_eq!(genesis.parameters.rule, rule);
        assert_eq!(Genesis::from_toml(&genesis.to_toml(), "again.toml"), Ok(genesis));
    }
    let refused = |rule: &str| with(rule).expect_err("it is no rule of a chain").to_string();
    let instead = r#"write `rule = "good-will", "stake" or "delegated"`"#;
    assert_eq!(
        refused("work"),
        format!(
            "g.toml:10:8: `rule`: hash puzzles exist in the simulator only \
             (`goodwatt sim --rule work`), no chain runs on them: {instead}"
        )
    );
    let unknown = format!("g.toml:10:8: `rule`: not one of the words known here: {instead}");
    assert_eq!(refused("good"), unknown);
    let text =
        short().replace("\"5 good\"", "\"0.5 good\"").replace("sealing =", "rule = \"stake\"\n#");
    let poor = Genesis::from_toml(&text, "g.toml").expect_err("it locks more than it has");
    assert!(poor.to_string().starts_with("g.toml:14:1: founder good1"), "{poor}");
}

#[test]
fn sealing_has_words_and_a_form() {
    let check = |text: &str, want| {
        let text = short().replace("\"immediate\"", text);
        let genesis = Genesis::from_toml(&text, "g.toml").expect("nothing is wrong");
        assert_eq!(genesis.parameters.sealing, want);
    };
    check("\"single\"", SealingRule::Single);
    check("\"five\"", SealingRule::FIVE);
    check(
        "{ transactions = 9, interval = \"250 ms\" }",
        SealingRule::Count { transactions: 9, interval: Millis::new(250) },
    );
}

/// Replaces `from` by `to` in the short genesis and compares the whole message.
fn refused(from: &str, to: &str, want: &str) {
    assert!(short().contains(from), "{from}");
    let text = short().replacen(from, to, 1);
    let error = Genesis::from_toml(&text, "g.toml").expect_err(to);
    assert_eq!(error.to_string(), want);
    assert!(matches!(error, GenesisError::Text(_)));
}

#[test]
fn unknown_keys_are_refused_with_the_nearest_name() {
    refused("name =", "nane =", "g.toml:1:1: the file knows no `nane`: did you mean `name`?");
    refused(
        "validators_min = 1",
        "validators_mim = 1",
        "g.toml:10:1: [parameters] knows no `validators_mim`: did you mean `validators_min`?",
    );
    refused(
        "measure =",
        "colour =",
        "g.toml:7:1: [eco] knows no `colour`: take it out, or write one of `way` `sentence` \
         `measure`",
    );
    refused(
        "[balances]",
        "[balance]",
        "g.toml:19:2: the file knows no `balance`: did you mean `balances`?",
    );
}

#[test]
fn missing_keys_are_named_with_an_example() {
    refused(
        "name = \"short\"\n",
        "",
        "g.toml:1:1: the file lacks `name`: write `name = \"Good in our town\"`",
    );
    refused(
        "measure = \"Watts.\"\n",
        "",
        "g.toml:4:2: [eco] lacks `measure`: write `measure = \"Watts of all boards, as reported \
         on the chain\"`",
    );
    refused(
        "weight = \"1 good\"\n",
        "",
        "g.toml:13:1: [[founders]] lacks `weight`: write `weight = \"100 good\"`",
    );
}

#[test]
fn values_are_refused_with_what_to_write() {
    refused(
        "\"2026-11-21T00:00:00Z\"",
        "2026-11-21T00:00:00Z",
        "g.toml:2:8: `time`: a date without quotes stands where text in quotes has to stand: \
         write `time = \"2026-11-21T00:00:00Z\"`",
    );
    refused(
        "11-21T",
        "11-31T",
        "g.toml:2:8: `time`: no such day or time of day, or a year before 1970: write `time = \
         \"2026-11-21T00:00:00Z\"`",
    );
    refused(
        "\"replaces\"",
        "\"helps\"",
        "g.toml:5:7: `way`: not one of the words known here: write `way = \"solves\", \
         \"replaces\", \"makes_up\" or \"worth_it\"`",
    );
    refused(
        "validators_min = 1",
        "validators_min = 256",
        "g.toml:10:18: `validators_min`: not a whole number from 0 to 255: write \
         `validators_min = 4`",
    );
    refused(
        "validators_min = 1",
        "epoch_length = 3600",
        "g.toml:10:16: `epoch_length`: a whole number stands where text in quotes has to stand: \
         write `epoch_length = \"1 h\"`",
    );
    refused(
        "validators_min = 1",
        "vote_window = \"24\"",
        "g.toml:10:15: `vote_window`: the unit is missing or unknown: write `vote_window = \"24 \
         epochs\"`",
    );
    refused(
        "validators_min = 1",
        "assumed_power = \"5000 W\"",
        "g.toml:10:17: `assumed_power`: too large for this field: write `assumed_power = \"10 \
         W\"`",
    );
    refused(
        "\"1 good\"",
        "\"1\"",
        "g.toml:16:10: `weight`: the unit is missing: write `2.5 good` or `2500000 grains`: \
         write `weight = \"100 good\"`",
    );
    refused(
        "\"5 good\"",
        "\"9000000001 good\"",
        "g.toml:20:67: `good1...`: more than may ever exist (9000000000 good): write `good1... = \
         \"1000 good\"`",
    );
    refused(
        "reveal_head = \"0",
        "reveal_head = \"",
        "g.toml:17:15: `reveal_head`: not an id: it has to be 64 hexadecimal digits: write \
         `reveal_head = \"64 hexadecimal digits, printed with the signer key\"`",
    );
    let long = "e".repeat(65);
    refused(
        "short",
        &long,
        "g.toml:1:8: `name`: 65 bytes are more than the 64 it may have: write `name = \"Good in \
         our town\"`",
    );
}

#[test]
fn addresses_are_checked_letter_by_letter() {
    let wrong = key(1).to_string().replacen("good1", "good1q", 1);
    refused(
        &format!("owner = \"{}\"", key(1)),
        &format!("owner = \"{wrong}\""),
        "g.toml:14:9: `owner`: the address has a typing error: its checksum does not fit; copy it \
         again: write `owner = \"good1...\", the address of the account`",
    );
}

#[test]
fn what_no_chain_can_begin_from_is_refused_at_its_place() {
    refused(
        "It replaces.",
        " ",
        "g.toml:4:2: the eco statement needs a sentence and a measure: write [eco] sentence and measure",
    );
    refused(
        "validators_min = 1",
        "validators_min = 0",
        "g.toml:10:1: [parameters] validators_min is out of range: 1 to validators_max",
    );
    refused(
        "validators_min = 1",
        "validators_max = 3",
        "g.toml:9:2: [parameters] validators_min is out of range: 1 to validators_max",
    );
    refused(
        "validators_min = 1",
        "validators_min = 2",
        "g.toml:13:3: 1 founding validators are fewer than validators_min = 2",
    );
    refused(
        "weight = \"1 good\"",
        "weight = \"0 good\"",
        &format!(
            "g.toml:13:1: founder {}: its signer key stands twice or its weight is zero",
            key(1)
        ),
    );
    let (one, other) = (key(1).to_string(), key(1).to_string().to_uppercase());
    refused(
        "\"5 good\"\n",
        &format!("\"5 good\"\n{other} = \"6 good\"\n"),
        &format!("g.toml:21:1: account {one} stands twice in the balances"),
    );
    let third = key(3);
    refused(
        "\"5 good\"\n",
        &format!("\"5 good\"\n{third} = \"9000000000 good\"\n"),
        "g.toml:19:2: the balances add up to more than 9000000000 good",
    );
}

#[test]
fn what_is_not_toml_is_refused_at_its_place() {
    let check = |from: &str, to: &str, place: &str| {
        let text = short().replacen(from, to, 1);
        let error = Genesis::from_toml(&text, "g.toml").expect_err(to).to_string();
        assert!(error.starts_with(&format!("g.toml:{place}: not TOML: ")), "{error}");
    };
    check("[eco]", "[eco", "4:5");
    check("way =", "way", "5:5");
    check("name = \"short\"", "name = \"a\"\nname = \"b\"", "2:1");
}

#[test]
fn no_text_is_too_long_or_too_deep() {
    let long = " ".repeat(GENESIS_TEXT_BYTES_MAX + 1);
    let error = Genesis::from_toml(&long, "g.toml").expect_err("too long").to_string();
    let want = "g.toml:1:1: 16777217 bytes are more than a genesis file may have (16777216)";
    assert_eq!(error, want);
    for deep in ["[", "{a=", "[[["] {
        let text = format!("name = {}", deep.repeat(100_000));
        let error = Genesis::from_toml(&text, "g.toml").expect_err("too deep").to_string();
        assert!(error.contains("not TOML: "), "{error}");
    }
}

#[test]
fn more_founders_than_a_set_holds_are_refused() {
    let one = short().split_once("[[founders]]").expect("a founder").1.to_owned();
    let (one, _) = one.split_once("[balances]").expect("balances come last");
    let more: String = (0..100).map(|_| format!("[[founders]]{one}")).collect();
    let text = short().replace("[balances]", &format!("{more}[balances]"));
    let error = Genesis::from_toml(&text, "g.toml").expect_err("101 founders").to_string();
    assert_eq!(error, "g.toml:613:1: more than 100 founders: take this one out");
}

fn any_text<const N: usize>() -> impl Strategy<Value = heapless::String<N>> {
    // Of two bytes or three at most, so that as many letters always fit.
    proptest::collection::vec(prop_oneof![any::<char>(), proptest::char::range(' ', '~')], 1..N / 4)
        .prop_map(|letters| {
            let text: String = core::iter::once('x').chain(letters).collect();
            text.as_str().try_into().expect("a quarter as many letters as bytes")
        })
}

fn any_money() -> impl Strategy<Value = Grains> {
    prop_oneof![0..10_u64, 0..1_000_000_000_000_u64]
        .prop_map(|grains| Grains::new(grains).expect("below the largest supply"))
}

prop_compose! {
    fn any_sealing()(
        kind in 0..4_u8,
        transactions in 1..100_u16,
        interval in 1..100_000_u64,
    ) -> SealingRule {
        match kind {
            0 => SealingRule::Immediate,
            1 => SealingRule::Single,
            2 => SealingRule::FIVE,
            _ => SealingRule::Count { transactions, interval: Millis::new(interval) },
        }
    }
}

prop_compose! {
    fn any_parameters()(
        times in (1_000..u64::MAX, any::<u64>()),
        money in proptest::collection::vec(any_money(), 6),
        epochs in (1..=168_u64, 1..=u64::MAX, any::<u64>(), 1..=168_u64, 1..=168_u64),
        percent in 0..=25_u8,
        power in any::<u32>(),
        sealing in any_sealing(),
        sizes in (256..=4_096_u32, 4_096..=700_000_u32, 100..=8_000_u32),
    ) -> Parameters {
        Parameters {
            // A rule that locks coins needs founders who have them.
            rule: Rule::GoodWill,
            epoch_length: Millis::new(times.0),
            slot_price_min: money[0].max(Grains::from_good(1)),
            validators_max: 100,
            validators_min: 1,
            vote_window: epochs.0,
            preference_percent: percent,
            association_cap: money[1],
            association_deposit: money[2],
            admission_epochs: epochs.1,
            cooling_epochs: epochs.2,
            release_delay: epochs.3,
            vesting_delay: epochs.4,
            epoch_reward: money[3],
            energy_price: money[4],
            assumed_power: MicroWatts::new(power),
            sealing,
            block_interval_min: Millis::new(times.1),
            fee_min: money[5],
            transaction_bytes_max: sizes.0,
            block_bytes_max: sizes.1,
            block_transactions_max: sizes.2,
        }
    }
}

prop_compose! {
    fn any_founder()(
        owner in any::<[u8; 32]>(),
        signer in any::<[u8; 32]>(),
        weight in any_money(),
        head in any::<[u8; 32]>(),
    ) -> Founder {
        Founder {
            owner: PublicKey::from_bytes(owner),
            signer: PublicKey::from_bytes(signer),
            weight: weight.max(Grains::from_good(1)),
            reveal_head: Digest32::new(head),
        }
    }
}

prop_compose! {
    fn any_genesis()(
        name in any_text::<64>(),
        time in 0..=253_402_300_799_999_u64,
        way in 0..4_usize,
        sentence in any_text::<280>(),
        measure in any_text::<280>(),
        parameters in any_parameters(),
        balances in proptest::collection::btree_map(any::<[u8; 32]>(), any_money(), 0..8),
        founders in proptest::collection::vec(any_founder(), 1..4),
    ) -> Genesis {
        let ways = [EcoWay::Solves, EcoWay::Replaces, EcoWay::MakesUp, EcoWay::WorthIt];
        Genesis {
            name,
            time: UnixMillis::new(time),
            eco: EcoStatement { way: ways[way], sentence, measure },
            parameters,
            balances: balances.into_iter().map(|(k, v)| (PublicKey::from_bytes(k), v)).collect(),
            founders: founders.into_iter().collect(),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_is_written_reads_back(genesis in any_genesis()) {
        let text = genesis.to_toml();
        prop_assert_eq!(Genesis::from_toml(&text, "written.toml"), Ok(genesis), "{}", text);
    }

    #[test]
    fn no_text_makes_the_reader_panic(at in 0..SHORT.len(), junk in ".{0,8}", cut in 0..16_usize) {
        let mut text = short();
        let end = (at + cut).min(text.len());
        text.replace_range(at..end, &junk);
        if let Err(error) = Genesis::from_toml(&text, "g.toml") {
            prop_assert!(error.to_string().starts_with("g.toml:"), "{}", error);
        }
    }
}
