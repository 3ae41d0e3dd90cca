//! The register tables against a chip of our own: a map of registers.

use std::collections::BTreeMap;

use goodwatt_units::MicroJoules;

use super::*;
use crate::reading::ErrorSource;

/// Registers by number. A block is what stands in the registers, as many bytes as are asked for.
#[derive(Debug, Default)]
struct Fake {
    words: BTreeMap<u8, u16>,
    blocks: BTreeMap<u8, u64>,
    /// Keeps what it holds, whatever is written.
    stubborn: bool,
}

impl Registers for Fake {
    fn word(&mut self, register: u8) -> Result<u16, Fault> {
        let gone = || Fault::Gone { path: "/dev/i2c-1".into() };
        self.words.get(&register).copied().ok_or_else(gone)
    }

    fn write(&mut self, register: u8, value: u16) -> Result<(), Fault> {
        if !self.stubborn {
            self.words.insert(register, value);
        }
        Ok(())
    }

    fn block(&mut self, register: u8, bytes: u8) -> Result<u64, Fault> {
        let block = self.blocks.get(&register).copied().unwrap_or(0);
        assert!(block < 1 << (8 * bytes), "a block of {bytes} bytes");
        Ok(block)
    }
}

fn chip(name: &str) -> &'static Chip {
    CHIPS.iter().find(|chip| chip.name == name).expect("it is known")
}

fn fake(name: &str, words: &[(u8, u16)]) -> Fake {
    let identity = chip(name).identity.iter().map(|(register, _, value)| (*register, *value));
    Fake { words: identity.chain(words.iter().copied()).collect(), ..Fake::default() }
}

fn begin(name: &str, milliohms: u32, registers: Fake) -> Result<Monitor<Fake>, Fault> {
    let shunt = MicroOhms::new(milliohms * 1_000).expect("a shunt");
    Monitor::begin(registers, name, chip(name), 1, shunt)
}

fn level(name: &str, milliohms: u32, words: &[(u8, u16)]) -> Result<i64, Fault> {
    let mut monitor = begin(name, milliohms, fake(name, words)).expect("it is that chip");
    monitor.read().map(|figures| figures.level.expect("it measures a level"))
}

#[test]
fn registers_become_microwatts() {
    let check = |name: &str, milliohms, words: &[(u8, u16)], want: i64| {
        assert_eq!(level(name, milliohms, words), Ok(want), "{name}");
    };
    // 5.1 V is 1275 steps of 4 mV; 49 mV over 100 mOhm is 0.49 A.
    check("ina219", 100, &[(1, 4_900), (2, 1_275 << 3)], 2_499_000);
    // 5.1 V is 4080 steps of 1.25 mV; 4.9 mV over 10 mOhm is 1960 steps of 2.5 uV.
    check("ina226", 10, &[(1, 1_960), (2, 4_080)], 2_499_000);
    // 392 steps of 1.25 mA.
    check("ina260", 2, &[(1, 392), (2, 4_080)], 2_499_000);
    // 49 mV is 1225 steps of 40 uV, 5.1 V are 637.5 of 8 mV, of which 637 are seen.
    check("ina3221", 100, &[(1, 1_225 << 3), (2, 637 << 3)], 2_497_040);
    // What flows the other way is negative, and refused by the one who judges.
    check("ina219", 100, &[(1, (-4_900_i16) as u16), (2, 1_275 << 3)], -2_499_000);
    check("ina226", 10, &[(1, (-1_960_i16) as u16), (2, 4_080)], -2_499_000);
}

#[test]
fn an_ina3221_reads_the_channel_asked_for() {
    let words = [(1, 8), (2, 8), (3, 8), (4, 8), (5, 1_225 << 3), (6, 625 << 3)];
    let shunt = MicroOhms::new(100_000).expect("a shunt");
    let registers = fake("ina3221", &words);
    let mut monitor = Monitor::begin(registers, "x", chip("ina3221"), 3, shunt).expect("it is");
    assert_eq!(monitor.read().map(|figures| figures.level), Ok(Some(2_450_000)));
}

#[test]
fn an_ina228_counts_energy_by_itself() {
    let mut registers = fake("ina228", &[]);
    // 49 mV are 156,800 steps of 312.5 nV; 5.1 V are 26,112 of 195.3125 uV.
    registers.blocks =
        [(0x04, 156_800 << 4), (0x05, 26_112 << 4), (0x09, 1_000_000)].into_iter().collect();
    let mut monitor = begin("ina228", 100, registers).expect("it is that chip");
    let figures = monitor.read().expect("it reads");
    assert_eq!(figures.level, Some(2_499_000));
    let count = figures.count.expect("it counts");
    // 160 uJ each with 100 mOhm.
    assert_eq!((count.energy.get(), count.step.get()), (160_000_000, 160));
    assert_eq!(count.range.map(MicroJoules::get), Some((1 << 40) * 160));
    monitor.registers.blocks.insert(0x04, ((-156_800_i64 << 4) & 0xff_ffff) as u64);
    assert_eq!(monitor.read().map(|figures| figures.level), Ok(Some(-2_499_000)));
}

#[test]
fn a_drop_beyond_the_converter_is_no_figure() {
    let over = |name: &str| Err(Fault::OverRange { sensor: name.to_owned() });
    let check = |name: &str, words: &[(u8, u16)]| {
        assert_eq!(level(name, 100, words), over(name));
    };
    check("ina219", &[(1, 32_000), (2, 1_275 << 3)]);
    check("ina219", &[(1, (-32_000_i16) as u16), (2, 1_275 << 3)]);
    check("ina226", &[(1, 0x7fff), (2, 4_080)]);
    check("ina226", &[(1, 0x8000), (2, 4_080)]);
    check("ina260", &[(1, 0x7fff), (2, 4_080)]);
    check("ina3221", &[(1, 4_095 << 3), (2, 4_080)]);
    let mut registers = fake("ina228", &[]);
    registers.blocks.insert(0x04, 0x7f_fff0);
    let mut monitor = begin("ina228", 100, registers).expect("it is that chip");
    assert_eq!(monitor.read().map(|figures| figures.level), over("ina228").map(Some));
}

#[test]
fn averaging_is_switched_on() {
    let monitor = begin("ina226", 10, fake("ina226", &[])).expect("it is that chip");
    assert_eq!(monitor.registers.words[&0], 0x4d27);
    let monitor = begin("ina219", 100, fake("ina219", &[])).expect("it is that chip");
    assert_eq!(monitor.registers.words[&0], 0x1fff);
}

#[test]
fn another_chip_is_not_taken_for_it() {
    let check =
        |name: &str, registers: Fake, register: u8, found: u16| match begin(name, 100, registers)
            .expect_err("it is another")
        {
            Fault::OtherChip { register: at, found: held, .. } => {
                assert_eq!((at, held), (register, found), "{name}");
            }
            other => panic!("{other}"),
        };
    check(
        "ina226",
        Fake { words: [(0xfe, 0x5449), (0xff, 0x2270)].into(), ..Fake::default() },
        0xff,
        0x2270,
    );
    check("ina226", Fake { words: [(0xfe, 0x00ff)].into(), ..Fake::default() }, 0xfe, 0x00ff);
    // One without an identity has at least to keep what it is told.
    check(
        "ina219",
        Fake { words: [(0, 0xffff)].into(), stubborn: true, ..Fake::default() },
        0,
        0xffff,
    );
    // Another revision is the same chip.
    let registers = Fake { words: [(0x3e, 0x5449), (0x3f, 0x2281)].into(), ..Fake::default() };
    assert!(begin("ina228", 100, registers).is_ok());
}

#[test]
fn a_chip_that_went_away_is_gone() {
    let mut monitor = begin("ina219", 100, fake("ina219", &[(1, 1), (2, 8)])).expect("it is");
    monitor.registers.words.clear();
    let gone = Fault::Gone { path: "/dev/i2c-1".into() };
    assert_eq!(monitor.read().map(|figures| figures.level), Err(gone));
}

#[test]
fn the_bound_is_that_of_the_data_sheet() {
    let error = |name: &str, milliohms, words: &[(u8, u16)]| {
        let mut monitor = begin(name, milliohms, fake(name, words)).expect("it is that chip");
        monitor.read().expect("it reads");
        let error = monitor.error(MicroWatts::new(2_499_000));
        assert_eq!(error.source(), ErrorSource::DataSheet);
        error.to_string()
    };
    assert_eq!(error("ina219", 100, &[(1, 4_900), (2, 1_275 << 3)]), "+-3.5 %");
    assert_eq!(error("ina226", 10, &[(1, 1_960), (2, 4_080)]), "+-1.6 %");
    // Gain 0.15 % and 0.1 %, bus offset 0.16 %, 5 mA of 490, and no shunt of others.
    assert_eq!(error("ina260", 2, &[(1, 392), (2, 4_080)]), "+-1.5 %");
}

#[test]
fn a_name_has_chip_bus_and_address() {
    let check = |name: &str, want: Option<(&str, u8, u16)>| {
        let found = parse(name).map(|(chip, bus, address)| (chip.name, bus, address));
        assert_eq!(found, want, "{name}");
    };
    check("ina226@1-0040", Some(("ina226", 1, 0x40)));
    check("ina3221@11-4f", Some(("ina3221", 11, 0x4f)));
    check("ina226", None);
    check("ina226@1-0050", None);
    check("ina999@1-0040", None);
    check("ina226@x-0040", None);
    check("ina226@1-zz", None);
}

#[test]
fn errors_of_the_bus_have_their_names() {
    let path = PathBuf::from("/dev/i2c-1");
    let check = |code, want: Fault| {
        let error = LinuxI2CError::Io(io::Error::from_raw_os_error(code));
        assert_eq!(fault(&path, "ina219@1-0040", error), want, "{code}");
    };
    check(16, Fault::Owned { sensor: "ina219@1-0040".to_owned() });
    for code in [121, 110, 11, 6, 2] {
        check(code, Fault::Gone { path: path.clone() });
    }
    check(13, Fault::Denied { path: path.clone() });
    check(5, Fault::Io { path: path.clone(), code: 5 });
}
