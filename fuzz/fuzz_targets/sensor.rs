//! What comes over the wire of a fingerprint sensor, at both of its ends.
#![no_main]

use goodwatt_fingerprint::sensor::{ACKNOWLEDGE_MAX, DATA_MAX, FrameReader, Kind, Simulator};
use libfuzzer_sys::fuzz_target;

const ADDRESS: u32 = 0xFFFF_FFFF;

fuzz_target!(|input: &[u8]| {
    let mut reader = FrameReader::new(ADDRESS);
    for byte in input {
        let Ok(Some(frame)) = reader.push(*byte) else { continue };
        let most = match frame.kind {
            Kind::Data | Kind::End => DATA_MAX,
            Kind::Command | Kind::Acknowledge => ACKNOWLEDGE_MAX,
        };
        assert!(frame.content.len() <= most);
        // A frame that was read is read again from its bytes.
        let mut again = FrameReader::new(ADDRESS);
        let bytes = frame.encode(ADDRESS);
        let last = bytes.iter().map(|byte| again.push(*byte)).last();
        assert_eq!(last, Some(Ok(Some(frame))));
    }
    // The simulator is a stranger's decoder, too.
    let answer = Simulator::new(Vec::new(), None).take(input);
    assert!(answer.len() <= 64 * (input.len() + 1));
});
