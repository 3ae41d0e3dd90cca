//! Texts that people and programs hand in: addresses, ids, words, configuration, control calls.
#![no_main]

use goodwatt::config::Config;
use goodwatt::protocol::Request;
use goodwatt::words::Words;
use goodwatt_chain::hash::Digest32;
use goodwatt_chain::signature::PublicKey;
use goodwatt_fuzz::text_is_stable;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    drop(serde_json::from_slice::<Request>(input));
    let Ok(text) = std::str::from_utf8(input) else { return };
    text_is_stable::<PublicKey>(text);
    text_is_stable::<Digest32>(text);
    drop(Words::parse(text));
    if let Ok(loaded) = Config::parse(text, "x") {
        let again = Config::parse(&loaded.settings.to_string(), "y");
        assert_eq!(again.expect("it reads what it shows").config, loaded.config);
    }
});
