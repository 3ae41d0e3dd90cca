//! The chips by their data sheets: who they are, how they average, what their registers mean.

use goodwatt_units::MicroJoules;

use super::Registers;
use crate::fault::Fault;
use crate::quantity::MicroOhms;
use crate::watch::Count;

/// One kind of chip.
#[derive(Debug)]
pub(super) struct Chip {
    pub(super) name: &'static str,
    /// Registers that tell who it is: number, the bits that count, what they hold.
    pub(super) identity: &'static [(u8, u16, u16)],
    /// Registers that make it measure all the time and average by itself for about a second, or
    /// as long as it can.
    pub(super) settings: &'static [(u8, u16)],
    pub(super) channels: u8,
    /// The shunt inside, if it has one.
    pub(super) own_shunt: Option<MicroOhms>,
    pub(super) read: fn(&mut dyn Registers, u8, MicroOhms) -> Result<Raw, Fault>,
}

/// What the registers say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Raw {
    pub(super) shunt_nanovolts: i64,
    pub(super) bus_microvolts: i64,
    pub(super) energy: Option<Count>,
    /// The converter is at its end.
    pub(super) clipped: bool,
}

/// `TI`, in the register of the maker.
const TI: u16 = 0x5449;
const ALL: u16 = u16::MAX;

/// The shunt inside of an INA260.
const INA260_SHUNT: Option<MicroOhms> = MicroOhms::new(2_000);

pub(super) const CHIPS: &[Chip] = &[
    Chip {
        name: "ina219",
        // SBOS448: it has no register that tells who it is.
        identity: &[],
        // 16 V, PGA /8 (320 mV), 128 samples of both voltages (68.1 ms), continuous.
        settings: &[(0x00, 0x1fff)],
        channels: 1,
        own_shunt: None,
        read: ina219,
    },
    Chip {
        name: "ina226",
        identity: &[(0xfe, ALL, TI), (0xff, ALL, 0x2260)],
        // SBOS547: 512 averages of 1.1 ms and 1.1 ms (1.13 s), continuous.
        settings: &[(0x00, 0x4d27)],
        channels: 1,
        own_shunt: None,
        read: ina226,
    },
    Chip {
        name: "ina228",
        // The last four bits are the revision.
        identity: &[(0x3e, ALL, TI), (0x3f, 0xfff0, 0x2280)],
        // SLYS021: range of 163.84 mV; 512 averages of 1.052 ms and 1.052 ms (1.08 s), continuous.
        // With the calibration at 4096, its value after a reset, the step of the current is that of
        // the shunt's drop, and a count of energy 51.2 such steps: 16 uV*s over the shunt.
        settings: &[(0x00, 0x0000), (0x01, 0xbb6e), (0x02, 0x1000)],
        channels: 1,
        own_shunt: None,
        read: ina228,
    },
    Chip {
        name: "ina260",
        identity: &[(0xfe, ALL, TI), (0xff, ALL, 0x2270)],
        // SBOS656: 512 averages of 1.1 ms and 1.1 ms (1.13 s), continuous.
        settings: &[(0x00, 0x6d27)],
        channels: 1,
        own_shunt: INA260_SHUNT,
        read: ina260,
    },
    Chip {
        name: "ina3221",
        identity: &[(0xfe, ALL, TI), (0xff, ALL, 0x3220)],
        // SBOS576: three channels, 128 averages of 1.1 ms and 1.1 ms each (0.84 s), continuous.
        settings: &[(0x00, 0x7927)],
        channels: 3,
        own_shunt: None,
        read: ina3221,
    },
];

/// A register in two's complement.
fn signed(registers: &mut dyn Registers, register: u8) -> Result<i64, Fault> {
    // The same bits with a sign.
    Ok(i64::from(registers.word(register)? as i16))
}

fn ina219(registers: &mut dyn Registers, _: u8, _: MicroOhms) -> Result<Raw, Fault> {
    let shunt = signed(registers, 0x01)?;
    let bus = i64::from(registers.word(0x02)? >> 3);
    Ok(Raw {
        shunt_nanovolts: shunt * 10_000,
        bus_microvolts: bus * 4_000,
        energy: None,
        clipped: shunt.abs() >= 32_000,
    })
}

fn ina226(registers: &mut dyn Registers, _: u8, _: MicroOhms) -> Result<Raw, Fault> {
    let (shunt, bus) = (signed(registers, 0x01)?, signed(registers, 0x02)?);
    Ok(Raw {
        shunt_nanovolts: shunt * 2_500,
        bus_microvolts: bus * 1_250,
        energy: None,
        clipped: at_the_end(shunt),
    })
}

/// Whether a converter of 16 bits is at one of its ends.
fn at_the_end(value: i64) -> bool {
    value >= i64::from(i16::MAX) || value <= i64::from(i16::MIN)
}

fn ina260(registers: &mut dyn Registers, _: u8, _: MicroOhms) -> Result<Raw, Fault> {
    let (current, bus) = (signed(registers, 0x01)?, signed(registers, 0x02)?);
    Ok(Raw {
        // 1.25 mA over 2 mOhm.
        shunt_nanovolts: current * 2_500,
        bus_microvolts: bus * 1_250,
        energy: None,
        clipped: at_the_end(current),
    })
}

fn ina3221(registers: &mut dyn Registers, channel: u8, _: MicroOhms) -> Result<Raw, Fault> {
    let first = channel * 2 - 1;
    let (shunt, bus) = (signed(registers, first)? >> 3, signed(registers, first + 1)? >> 3);
    Ok(Raw {
        shunt_nanovolts: shunt * 40_000,
        bus_microvolts: bus * 8_000,
        energy: None,
        clipped: !(-4_095..4_095).contains(&shunt),
    })
}

fn ina228(registers: &mut dyn Registers, _: u8, shunt: MicroOhms) -> Result<Raw, Fault> {
    // 20 bits in three bytes, the lowest four empty: 312.5 nV and 195.3125 uV.
    const END: i64 = (1 << 19) - 1;
    let drop = twenty_bits(registers.block(0x04, 3)?);
    let bus = twenty_bits(registers.block(0x05, 3)?);
    let energy = registers.block(0x09, 5)?;
    // 16 uV*s over the shunt in microohms is 16,000,000 uJ over that number; 40 bits of it.
    let joules = |count: u64| {
        let micro = u128::from(count) * 16_000_000 / u128::from(shunt.get());
        MicroJoules::new(u64::try_from(micro).unwrap_or(u64::MAX))
    };
    Ok(Raw {
        shunt_nanovolts: drop * 3_125 / 10,
        bus_microvolts: bus * 1_953_125 / 10_000,
        energy: Some(Count {
            energy: joules(energy),
            range: Some(joules(1 << 40)),
            step: joules(1),
        }),
        clipped: !(-END..END).contains(&drop),
    })
}

/// The upper 20 of 24 bits, with their sign.
fn twenty_bits(block: u64) -> i64 {
    // At most 24 bits, so it fits; shifted up for the sign, and down again.
    ((block << 40) as i64) >> 44
}
