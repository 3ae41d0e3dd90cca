//! Helper data as a wrong PIN gives it: any bytes at all.
#![no_main]

use std::sync::LazyLock;

use goodwatt_fingerprint::extract::{Print, extract};
use goodwatt_fingerprint::random::Seeded;
use goodwatt_fingerprint::synthetic::{Finger, Placement};
use goodwatt_fingerprint::vault::{Budget, HELPER_BYTES, Helper, K_MAX, K_MIN, open};
use libfuzzer_sys::fuzz_target;

static PRINT: LazyLock<Print> =
    LazyLock::new(|| extract(&Finger::grow(1).place(0, &Placement::usual())).print);

fuzz_target!(|input: &[u8]| {
    assert_eq!(Helper::decode(input).is_some(), input.len() == HELPER_BYTES);
    // Short inputs are repeated, so that few bytes reach every field.
    let bytes: Vec<u8> = input.iter().copied().cycle().take(HELPER_BYTES).collect();
    let Some(helper) = Helper::decode(&bytes) else { return };
    assert!((K_MIN..=K_MAX).contains(&helper.k()));
    let random = &mut Seeded::new(1);
    let again = Helper::decode(&helper.encode(random));
    assert_eq!(again.map(|again| again.k()), Some(helper.k()));
    // The secret that comes out of bytes that hide none has at least to fit what they say.
    if let Some(secret) = open(&helper, &PRINT, Budget { guesses: 64 }, random) {
        assert_eq!(secret.len(), helper.k());
    }
});
