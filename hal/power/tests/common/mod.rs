//! A tree that looks like sysfs and procfs, for tests without hardware.
#![allow(dead_code, reason = "each test file uses another part of it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use goodwatt_power::{MicroOhms, PowerConfig, PowerMeter, Roots, Sample};
use goodwatt_units::{MicroWatts, Millis};

/// Where the first INA219 is, by its hwmon driver and by its IIO driver.
pub(crate) const HWMON: &str = "sys/class/hwmon/hwmon0";
pub(crate) const IIO: &str = "sys/bus/iio/devices/iio:device0";
pub(crate) const RAPL: &str = "sys/class/powercap/intel-rapl:0";
pub(crate) const BATTERY: &str = "sys/class/power_supply/BAT0";

pub(crate) struct Tree(tempfile::TempDir);

impl Tree {
    /// A Pi 4 without any sensor, with idle CPUs.
    pub(crate) fn pi_4() -> Self {
        let tree = Self(tempfile::tempdir().expect("a temporary folder"));
        tree.put("proc/device-tree/model", "Raspberry Pi 4 Model B Rev 1.2\0");
        tree.cpu(0, 0, 0);
        tree
    }

    /// The same with an INA219 and its hwmon driver, which knows its shunt of 100 mOhm.
    pub(crate) fn with_hwmon() -> Self {
        let tree = Self::pi_4();
        tree.put_all(
            HWMON,
            &[
                ("name", "ina219\n"),
                ("in1_input", "5100\n"),
                ("curr1_input", "490\n"),
                ("power1_input", "2500000\n"),
                ("shunt_resistor", "100000\n"),
            ],
        );
        tree
    }

    /// The same with the IIO driver, which takes the shunt for 10 mOhm, as it does by default:
    /// its figures are ten times too high.
    pub(crate) fn with_iio() -> Self {
        let tree = Self::pi_4();
        tree.put_all(
            IIO,
            &[
                ("name", "ina219\n"),
                ("in_shunt_resistor", "0.010000000\n"),
                ("in_voltage1_raw", "1275\n"),
                ("in_voltage1_scale", "4.000000000\n"),
                ("in_power2_raw", "1250\n"),
                ("in_power2_scale", "20.000000000\n"),
                ("in_current3_raw", "4900\n"),
                ("in_current3_scale", "1.000000000\n"),
            ],
        );
        tree
    }

    /// An x86 machine with a CPU package that counts its energy.
    pub(crate) fn with_rapl() -> Self {
        let tree = Self::pi_4();
        tree.remove("proc/device-tree");
        tree.put_all(
            RAPL,
            &[
                ("name", "package-0\n"),
                ("energy_uj", "1000000\n"),
                ("max_energy_range_uj", "262143328850\n"),
            ],
        );
        tree.put_all(&format!("{RAPL}:0"), &[("name", "core\n"), ("energy_uj", "7\n")]);
        tree
    }

    /// A board that runs from a battery.
    pub(crate) fn with_battery() -> Self {
        let tree = Self::pi_4();
        tree.put_all(
            BATTERY,
            &[
                ("type", "Battery\n"),
                ("status", "Discharging\n"),
                ("voltage_now", "3700000\n"),
                ("current_now", "-810000\n"),
            ],
        );
        tree
    }

    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.0.path().join(path)
    }

    pub(crate) fn put(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("writable");
        fs::write(path, text).expect("writable");
    }

    pub(crate) fn put_all(&self, folder: &str, files: &[(&str, &str)]) {
        for (name, text) in files {
            self.put(&format!("{folder}/{name}"), text);
        }
    }

    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
            .expect("it was there");
    }

    /// Moves a device behind a symbolic link, as the kernel has it, so that it shows its address.
    pub(crate) fn link(&self, class: &str, device: &str) {
        let real = self.path(device);
        fs::create_dir_all(real.parent().expect("a folder in a folder")).expect("writable");
        fs::rename(self.path(class), &real).expect("it was there");
        symlink(real, self.path(class)).expect("the name is free");
    }

    /// CPU times since boot, in ticks of 10 ms: busy, idle, and our own part of the busy ones.
    pub(crate) fn cpu(&self, busy: u64, idle: u64, own: u64) {
        self.put("proc/stat", &format!("cpu  {busy} 0 0 {idle} 0 0 0 0 0 0\n"));
        let stat = format!("7 (goodwattd) S 1 1 1 0 -1 0 0 0 0 0 {own} 0 0 0 20 0 1 0\n");
        self.put("proc/self/stat", &stat);
    }

    /// A config for this tree, with the shunt that is on the sensor board.
    pub(crate) fn config(&self) -> PowerConfig {
        PowerConfig {
            shunt: MicroOhms::new(100_000),
            period: PowerConfig::MIN_PERIOD,
            roots: Roots { sys: self.path("sys"), proc: self.path("proc"), dev: self.path("dev") },
            ..PowerConfig::default()
        }
    }

    /// The same with idle power, so that nothing about it has to be noted.
    pub(crate) fn config_with_idle(&self, milliwatts: u32) -> PowerConfig {
        PowerConfig { idle: Some(MicroWatts::from_milliwatts(milliwatts)), ..self.config() }
    }

    pub(crate) fn meter(&self) -> PowerMeter {
        PowerMeter::new(&self.config())
    }
}

/// The sample at a second.
pub(crate) fn at(meter: &mut PowerMeter, second: u64) -> Sample {
    meter.sample(Millis::from_secs(second))
}
