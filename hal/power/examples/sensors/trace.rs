//! The trace that is played, and the script that plays it on the registers of each chip.

use std::fmt::Write;

use goodwatt_units::Millis;

/// What the board draws before and after, so that it does not matter when metering begins.
pub(crate) const REST_MILLIWATTS: u32 = 2_300;
/// From this millisecond on the board draws so many milliwatts: a board that is idle, computes,
/// writes to its card, idles, computes on all cores, and idles again.
const STEPS: [(u64, u64); 10] = [
    (0, 2_300),
    (4_700, 3_900),
    (11_200, 6_400),
    (17_900, 4_100),
    (24_350, 2_600),
    (31_800, 7_500),
    (43_100, 5_200),
    (49_600, 6_900),
    (56_250, 2_900),
    (60_000, 2_300),
];
/// The sensors average: at each moment they show the mean of the second before.
const WINDOW_MILLIS: u64 = 1_000;
/// How often what they show is renewed.
const TICK_MILLIS: u64 = 500;
/// The trace, and the second until the sensors have forgotten it.
const END_MILLIS: u64 = 61_000;
/// 5.1 V as each chip has it.
const VOLTS: f64 = 5.1;

/// Millijoules of a millisecond, by thousand.
fn milliwatts_at(at: u64) -> u64 {
    STEPS.iter().rev().find(|(from, _)| *from <= at).map_or(0, |(_, milliwatts)| *milliwatts)
}

/// The mean in the second before.
fn watts_shown(at: u64) -> f64 {
    let before = |back: u64| at.checked_sub(back).map_or(u64::from(REST_MILLIWATTS), milliwatts_at);
    (1..=WINDOW_MILLIS).map(before).sum::<u64>() as f64 / WINDOW_MILLIS as f64 / 1e3
}

/// Energy of the trace, and of the rest of a span at rest.
pub(crate) fn joules(span: Millis) -> f64 {
    let played: u64 = (0..END_MILLIS).map(milliwatts_at).sum();
    let rest = span.get().saturating_sub(END_MILLIS) * u64::from(REST_MILLIWATTS);
    (played + rest) as f64 / 1e6
}

/// The script. Called with `preset` it fills the registers only.
pub(crate) fn script() -> String {
    let mut text = String::from(
        "#!/bin/sh\n\
         set -e\n\
         # Waits until so many hundredths of a second after the start.\n\
         at() {\n    \
             read -r up _ </proc/uptime\n    \
             left=$((start + $1 - ${up%.*}${up#*.}))\n    \
             if [ $left -gt 0 ]; then usleep ${left}0000; fi\n\
         }\n\
         word() { i2cset -f -y 0 \"$1\" \"$2\" \"$3\" w; }\n\
         if [ \"$1\" = preset ]; then\n",
    );
    preset(&mut text);
    tick(&mut text, 0);
    text.push_str("exit\nfi\nread -r up _ </proc/uptime\nstart=${up%.*}${up#*.}\n");
    for at in (0..=END_MILLIS).step_by(TICK_MILLIS as usize) {
        push(&mut text, format_args!("at {}", at / 10));
        tick(&mut text, at);
    }
    text
}

fn push(text: &mut String, line: std::fmt::Arguments<'_>) {
    // Writing into a string does not fail.
    let _ = writeln!(text, "{line}");
}

/// A register of two bytes, which these chips send high byte first and `SMBus` low byte first.
fn word(text: &mut String, chip: u8, register: u8, value: f64) {
    let value = (value.round() as u16).swap_bytes();
    push(text, format_args!("word {chip:#04x} {register:#04x} {value:#06x}"));
}

/// What does not change: who the chips are, and their voltage.
fn preset(text: &mut String) {
    for chip in [0x40, 0x41] {
        word(text, chip, 0x02, 1_275.0 * 8.0);
    }
    for (chip, maker, die, name) in [
        (0x44, 0xfe, 0xff, 0x2260),
        (0x45, 0x3e, 0x3f, 0x2281),
        (0x46, 0xfe, 0xff, 0x2270),
        (0x47, 0xfe, 0xff, 0x3220),
    ] {
        word(text, chip, maker, f64::from(0x5449));
        word(text, chip, die, f64::from(name));
    }
    for chip in [0x44, 0x46] {
        word(text, chip, 0x02, VOLTS / 0.001_25);
    }
    word(text, 0x47, 0x02, 5_104.0);
    // A block of the stub is the low bytes of registers that follow: 26,112 steps of 195.3 uV.
    for (register, byte) in [(0x05, 0x06), (0x06, 0x60), (0x07, 0x00)] {
        push(text, format_args!("i2cset -f -y 0 0x45 {register:#04x} {byte:#04x} b"));
    }
    // 12.1 V in steps of 55 mV.
    push(text, format_args!("i2cset -f -y 0 0x20 0x10 220 b"));
}

/// What all of them show at a moment.
fn tick(text: &mut String, at: u64) {
    let watts = watts_shown(at);
    let amps = watts / VOLTS;
    // The kernel's own power register: 20 mW by the 10 mOhm it assumes, so 2 mW in truth.
    word(text, 0x40, 0x03, watts / 0.002);
    // 5 mA of 12.1 V.
    let steps = (watts / 12.1 / 0.005).round();
    push(text, format_args!("i2cset -f -y 0 0x20 0x11 {steps} b"));
    word(text, 0x41, 0x01, amps * 0.1 / 10e-6);
    word(text, 0x44, 0x01, amps * 0.01 / 2.5e-6);
    word(text, 0x46, 0x01, amps / 0.001_25);
    word(text, 0x47, 0x01, (watts / 5.104 * 0.1 / 40e-6).round() * 8.0);
    // Its drop in steps of 312.5 nV, of which a byte of the stub holds those of 4096.
    let steps = (amps * 0.1 / 312.5e-9 / 4_096.0).round();
    push(text, format_args!("i2cset -f -y 0 0x45 0x04 {steps} b"));
    // Its energy in steps of 160 uJ, all five bytes in one go.
    let shown: f64 = (0..at).map(|at| milliwatts_at(at) as f64 / 1e6).sum();
    let count = (shown / 160e-6) as u64 + 1_000_000;
    let [_, _, _, bytes @ ..] = count.to_be_bytes();
    let bytes = bytes.map(|byte| format!("{byte:#04x}")).join(" ");
    push(text, format_args!("i2cset -f -y 0 0x45 0x09 {bytes} i"));
    // The firmware of a Pi 5: two rails, and one without a current.
    push(
        text,
        format_args!(
            "printf ' 3V3_SYS_A current(1)=%sA\\n VDD_CORE_A current(7)=%sA\\n 3V3_SYS_V volt(9)=3.30000000V\\n \
         VDD_CORE_V volt(15)=0.80000000V\\n EXT5V_V volt(24)=5.10531000V\\n' {:.8} {:.8} >/tmp/pmic.new",
            watts / 2.0 / 3.3,
            watts / 2.0 / 0.8,
        ),
    );
    push(text, format_args!("mv /tmp/pmic.new /tmp/pmic"));
}
