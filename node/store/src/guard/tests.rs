use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::faulty::FaultyDisk;

const CHAIN: ChainId = ChainId(Digest32::new([9; 32]));

fn block(number: u8) -> Option<BlockId> {
    Some(BlockId(Digest32::new([number; 32])))
}

fn request(height: u64, round: u32, step: GuardStep, block: Option<BlockId>) -> SignRequest {
    let content = block.map_or(Digest32::ZERO, |block| block.0);
    let signer = PublicKey::from_bytes([1; 32]);
    let (height, round) = (Height::new(height), Round::new(round));
    SignRequest { signer, height, round, step, block, content }
}

#[test]
fn heights_rounds_and_steps_only_rise_and_only_repeats_are_repeated() {
    use GuardStep::{Precommit, Prevote, Proposal};
    let last = [request(5, 1, Proposal, block(1)), request(5, 1, Prevote, block(1))];
    let last = last.iter().fold(None, |last, request| {
        Some(decide(last.as_ref(), request).expect("it may be signed"))
    });
    let check = |request: SignRequest, want: &str| {
        let found = match decide(last.as_ref(), &request) {
            Ok(record) if Some(record) == last => "repeat",
            Ok(_) => "sign",
            Err(GuardRefusal::Below { .. }) => "below",
            Err(GuardRefusal::LaterStepSigned { .. }) => "later",
            Err(GuardRefusal::SignedOtherwise { .. }) => "otherwise",
        };
        assert_eq!(found, want, "{request:?}");
    };
    check(request(5, 1, Proposal, block(1)), "repeat");
    check(request(5, 1, Prevote, block(1)), "repeat");
    check(request(5, 1, Proposal, block(2)), "otherwise");
    check(request(5, 1, Prevote, None), "otherwise");
    check(request(5, 1, Precommit, block(1)), "sign");
    check(request(5, 1, Precommit, None), "sign");
    check(request(5, 0, Precommit, block(1)), "below");
    check(request(4, 9, Precommit, block(1)), "below");
    check(request(5, 2, Proposal, block(2)), "sign");
    check(request(6, 0, Prevote, None), "sign");
    let other_key = PublicKey::from_bytes([2; 32]);
    check(SignRequest { signer: other_key, ..request(5, 1, Precommit, block(1)) }, "otherwise");
    let other_words = Digest32::ZERO;
    check(SignRequest { content: other_words, ..request(5, 1, Proposal, block(1)) }, "otherwise");
}

#[test]
fn a_skipped_step_is_not_signed_later() {
    let precommit = request(3, 0, GuardStep::Precommit, None);
    let last = decide(None, &precommit).expect("it may be signed");
    let prevote = request(3, 0, GuardStep::Prevote, block(1));
    let refusal = decide(Some(&last), &prevote);
    assert!(matches!(refusal, Err(GuardRefusal::LaterStepSigned { .. })));
}

/// A guard that signed for heights 1 and 2.
fn used(disk: &FaultyDisk) -> SigningGuard {
    let mut guard = SigningGuard::create(&disk.folder(), CHAIN).expect("a new guard");
    for height in 1..=2 {
        let prevote = request(height, 0, GuardStep::Prevote, block(1));
        guard.record_all(&[prevote]).expect("on the card")[0].expect("it may be signed");
    }
    guard
}

#[test]
fn a_flipped_bit_in_either_slot_never_takes_the_guard_back() {
    let bits = (0..512_usize).flat_map(|byte| [0x01, 0x02, 0x10].map(|mask| (byte, mask)));
    for (byte, mask) in bits {
        for slot in [0, SLOT_BYTES as usize] {
            let disk = FaultyDisk::new(1);
            let last = used(&disk).record;
            disk.flip(FILE, slot + byte, mask);
            match SigningGuard::open(&disk.folder(), CHAIN) {
                // A changed counter is known by the other one; nothing else is guessed.
                Ok(guard) => {
                    assert_eq!(guard.record, last, "{slot} + {byte}");
                    assert!(!(8..504).contains(&byte), "{slot} + {byte}");
                }
                Err(error) => assert!(matches!(error, GuardError::Damaged), "{error}"),
            }
        }
    }
}

#[test]
fn a_missing_guard_and_one_of_another_chain_are_refused() {
    let disk = FaultyDisk::new(1);
    assert!(matches!(SigningGuard::open(&disk.folder(), CHAIN), Err(GuardError::Missing)));
    SigningGuard::create(&disk.folder(), CHAIN).expect("a new guard");
    let other = ChainId(Digest32::ZERO);
    assert!(matches!(SigningGuard::open(&disk.folder(), other), Err(GuardError::WrongChain(_))));
}

#[test]
fn an_export_is_read_back_and_never_lowers() {
    let (one, two) = (FaultyDisk::new(1), FaultyDisk::new(2));
    let mut guard = SigningGuard::create(&one.folder(), CHAIN).expect("a new guard");
    let requests =
        [request(7, 2, GuardStep::Proposal, block(3)), request(7, 2, GuardStep::Prevote, None)];
    guard.record_all(&requests).expect("on the card");
    let text = guard.export();
    assert!(SigningGuard::import(&two.folder(), CHAIN, &text).expect("imported"));
    assert!(!SigningGuard::import(&two.folder(), CHAIN, &text).expect("imported"));
    let copy = SigningGuard::open(&two.folder(), CHAIN).expect("there");
    assert_eq!(copy.record(), guard.record());
    guard.record_all(&[request(8, 0, GuardStep::Prevote, None)]).expect("on the card");
    assert!(!SigningGuard::import(&one.folder(), CHAIN, &text).expect("imported"));
    let guard = SigningGuard::open(&one.folder(), CHAIN).expect("there");
    assert_eq!(guard.record().map(|record| record.height), Some(Height::new(8)));
}

#[test]
fn an_import_mends_a_damaged_guard() {
    let disk = FaultyDisk::new(1);
    let text = used(&disk).export();
    disk.flip(FILE, 20, 1);
    assert!(SigningGuard::import(&disk.folder(), CHAIN, &text).expect("imported"));
    let guard = SigningGuard::open(&disk.folder(), CHAIN).expect("whole again");
    assert_eq!(guard.record().map(|record| record.height), Some(Height::new(2)));
}

#[test]
fn what_is_no_export_is_refused_with_its_line() {
    let disk = FaultyDisk::new(1);
    let good = SigningGuard::create(&disk.folder(), CHAIN).expect("a new guard").export();
    let check = |text: &str, want: &str| {
        let error = SigningGuard::import(&disk.folder(), CHAIN, text).expect_err("refused");
        assert!(error.to_string().contains(want), "{error}");
    };
    check("", "goodwatt-guard");
    check(&good.replace("height", "hight"), "line 4 has to be `height");
    check(&good.replace("= 1", "= 2"), "`goodwatt-guard`");
    check(&good.replace("round = 0", "round = -1"), "`round`");
    check(&format!("{good}more = 1\n"), "lines follow");
    check(&good.replace("09", "08"), "of chain");
}

proptest! {
    /// Whatever is asked for and wherever the power goes: what was let out once for a step is
    /// never let out otherwise.
    #[test]
    fn nothing_is_ever_signed_twice(
        seed in any::<u64>(),
        steps in prop::collection::vec((0..4_u64, 0..3_u32, 0..3_u8, 0..3_u8, 0..12_u64), 1..60),
    ) {
        let disk = FaultyDisk::new(seed);
        let mut guard = SigningGuard::create(&disk.folder(), CHAIN).expect("a new guard");
        let mut let_out: HashMap<(u64, u32, u8), SignRequest> = HashMap::new();
        for (height, round, step, number, crash) in steps {
            let which = [GuardStep::Proposal, GuardStep::Prevote, GuardStep::Precommit];
            let asked = request(height, round, which[usize::from(step)], block(number));
            if crash < 3 {
                disk.crash_after(crash);
            }
            if let Ok(verdicts) = guard.record_all(&[asked]) && verdicts[0].is_ok() {
                let former = let_out.insert((height, round, step), asked);
                prop_assert!(former.is_none_or(|former| former == asked), "{asked:?}");
            }
            if crash < 3 {
                disk.restart();
                guard = SigningGuard::open(&disk.folder(), CHAIN).expect("one slot is whole");
            }
        }
    }
}

/// After a failed sync the system shows a record that the card does not have. A restart of the
/// process alone must not take it for durable.
#[test]
fn a_record_whose_sync_failed_is_not_a_repeat_after_opening_again() {
    for seed in 0..20 {
        let disk = FaultyDisk::new(seed);
        let mut guard = SigningGuard::create(&disk.folder(), CHAIN).expect("a new guard");
        disk.fail_syncs(1);
        let one = request(3, 0, GuardStep::Prevote, block(1));
        let other = request(3, 0, GuardStep::Prevote, block(2));
        guard.record_all(&[one]).expect_err("the sync failed");
        let mut guard = SigningGuard::open(&disk.folder(), CHAIN).expect("the process restarts");
        let released = guard.record_all(&[one]).is_ok_and(|verdicts| verdicts[0].is_ok());
        disk.restart();
        let mut guard = SigningGuard::open(&disk.folder(), CHAIN).expect("the power is back");
        let again = guard.record_all(&[other]).is_ok_and(|verdicts| verdicts[0].is_ok());
        assert!(!(released && again), "seed {seed}: two votes for one step");
    }
}
