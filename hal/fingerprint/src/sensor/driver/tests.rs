//! The driver against the simulator without a wire between them: time passes only where nothing
//! is to be read.

use std::time::Duration;

use super::*;
use crate::sensor::simulator::{Fault, Simulator};
use crate::sensor::wire::Wire;

fn picture(width: usize, height: usize) -> Image {
    let pixels = (0..width * height).map(|i| (i % 16 * 17) as u8).collect();
    Image::new(width, height, pixels).expect("the size is one of a sensor")
}

fn driver(image: Image, fault: Option<Fault>) -> Result<Driver<Wire>, SensorError> {
    Driver::probe(Wire::to(Simulator::new(vec![image], fault)), "simulated")
}

fn fetch(fault: Option<Fault>) -> Result<Image, SensorError> {
    let mut driver = driver(picture(256, 288), fault)?;
    driver.wait_for_finger(Duration::from_secs(20), &|| false)?;
    driver.image()
}

#[test]
fn an_image_comes_as_it_was_laid_on_the_glass() {
    for (width, height) in [(256, 288), (192, 192), (140, 140)] {
        let mut driver = driver(picture(width, height), None).expect("a sensor");
        assert_eq!(driver.identity().size, Some((width, height)));
        assert_eq!(driver.identity().packet, 128);
        driver.wait_for_finger(Duration::from_secs(20), &|| false).expect("a finger");
        assert_eq!(driver.image().expect("an image"), picture(width, height));
        driver.wait_for_lift(Duration::from_secs(20), &|| false).expect("no finger");
    }
}

#[test]
fn every_size_of_packet_is_read() {
    for code in 0..4 {
        let simulator = Simulator::new(vec![picture(256, 288)], None).with_packet_code(code);
        let mut driver = Driver::probe(Wire::to(simulator), "simulated").expect("a sensor");
        assert_eq!(driver.identity().packet, 32 << code);
        driver.wait_for_finger(Duration::from_secs(20), &|| false).expect("a finger");
        assert_eq!(driver.image().expect("an image"), picture(256, 288));
    }
}

#[test]
fn an_acknowledgement_too_many_is_seen_through() {
    assert_eq!(fetch(Some(Fault::SpuriousAcknowledge)).expect("an image"), picture(256, 288));
}

#[test]
fn a_broken_wire_gives_an_error_or_the_right_image_but_never_a_wrong_one() {
    for fault in [Fault::Dropped, Fault::Doubled, Fault::Flipped] {
        match fetch(Some(fault)) {
            Ok(image) => assert_eq!(image, picture(256, 288), "{fault:?}"),
            Err(
                SensorError::Damaged { .. }
                | SensorError::Short { .. }
                | SensorError::Silent { .. },
            ) => {}
            Err(error) => panic!("{fault:?}: {error}"),
        }
    }
}

#[test]
fn faults_are_named() {
    let check = |fault, right: fn(&SensorError) -> bool| {
        let error = fetch(Some(fault)).expect_err("it is broken");
        assert!(right(&error), "{fault:?}: {error}");
    };
    check(Fault::Late, |e| matches!(e, SensorError::NoSensor { .. }));
    check(Fault::WrongAddress, |e| matches!(e, SensorError::NoSensor { .. }));
    check(Fault::FirstPacketMissing, |e| matches!(e, SensorError::Short { found: 36_736, .. }));
    check(Fault::LengthFfff, |e| matches!(e, SensorError::Damaged { .. }));
    check(Fault::EndlessData, |e| matches!(e, SensorError::Endless { .. }));
    check(Fault::ShortImage, |e| matches!(e, SensorError::Short { .. }));
    check(Fault::Swap, |e| matches!(e, SensorError::Silent { .. } | SensorError::Refused { .. }));
    check(Fault::Liar, |e| matches!(e, SensorError::Refused { code: 0x15, .. }));
}

#[test]
fn waiting_for_a_finger_ends() {
    let simulator = Simulator::new(Vec::new(), None);
    let mut driver = Driver::probe(Wire::to(simulator), "simulated").expect("a sensor");
    let error = driver.wait_for_finger(Duration::from_millis(300), &|| false).expect_err("nobody");
    assert!(matches!(error, SensorError::NoFinger { .. }), "{error}");
    let error = driver.wait_for_finger(Duration::from_secs(300), &|| true).expect_err("Ctrl-C");
    assert!(matches!(error, SensorError::Stopped), "{error}");
}

#[test]
fn only_what_changes_nothing_is_ever_sent() {
    let mut driver = driver(picture(256, 288), None).expect("a sensor");
    let mut seen = vec![driver.line.last_command()];
    driver.light(Light::Waiting).expect("a line");
    seen.push(driver.line.last_command());
    driver.wait_for_finger(Duration::from_secs(20), &|| false).expect("a finger");
    seen.push(driver.line.last_command());
    driver.image().expect("an image");
    seen.push(driver.line.last_command());
    assert_eq!(seen, [READ_PRODUCT, AURA_LED, GET_IMAGE, UP_IMAGE]);
}
