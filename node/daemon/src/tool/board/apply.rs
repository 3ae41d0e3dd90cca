//! Makes the running system follow the owner's file. All of it lies in `/run`, and is made anew at
//! each start; only the daemon's configuration is kept.

use std::fmt::Write;
use std::fs;
use std::io;
use std::path::Path;

use super::config::{BoardConfig, Wifi};
use super::setup::Troubles;
use super::{Places, files, finger};

/// Applies everything; what fails is a trouble, and the rest goes on.
pub(super) fn all(places: &Places, board: &BoardConfig, troubles: &mut Troubles) {
    let run = places.root.join("run");
    let mut put = |what: &str, path: &Path, text: &str, mode: u32| {
        if let Err(error) = files::put(path, text, mode) {
            troubles.push(format!("{what} could not be set: {}: {error}", path.display()));
        }
    };
    let network = |name: &str| run.join("systemd/network").join(name);
    put("the address", &network("20-wired.network"), &wired(board), 0o644);
    put("the wireless address", &network("30-wireless.network"), WIRELESS, 0o644);
    let time = run.join("systemd/timesyncd.conf.d/goodwatt.conf");
    put("the time servers", &time, &time_servers(board), 0o644);
    if !board.ssh_keys.is_empty() {
        let keys: String = board.ssh_keys.iter().map(|key| format!("{}\n", key.0)).collect();
        put("the login", &places.run("authorized_keys"), &keys, 0o600);
    }
    if board.serial_login {
        put("the serial console", &places.run("serial-login"), "", 0o644);
    }
    if let Some(text) = board.wifi.as_ref().and_then(wireless) {
        put("the wireless network", &places.run("wifi.conf"), &text, 0o600);
    }
    let daemon = places.root.join("etc/goodwatt/goodwatt.toml");
    put("the daemon's configuration", &daemon, &board.daemon_toml(), 0o644);
    if let Err(error) = name_host(places, &board.name.0.0) {
        troubles.push(format!("the board's name could not be set: {error}"));
    }
    let port = board.finger.as_ref().map(|port| &port.0);
    troubles.extend(finger::give_line(places, port).err());
    if let Some(Err(error)) =
        board.daemon.power.sensor.as_deref().and_then(|name| bind_sensor(places, name))
    {
        troubles.push(format!(
            "the sensor could not be bound to its bus ({error}): check `sensor` in [power], its \
             address, and its wires"
        ));
    }
}

fn name_host(places: &Places, name: &str) -> io::Result<()> {
    fs::write(places.root.join("proc/sys/kernel/hostname"), name)
}

/// The wire: DHCP, or an address of its own.
fn wired(board: &BoardConfig) -> String {
    let mut text = "[Match]\nType=ether\nKind=!*\n\n[Network]\nMulticastDNS=yes\n".to_owned();
    match &board.address {
        Some(address) => {
            line(&mut text, "Address", &address.0);
            board.gateway.iter().for_each(|gateway| line(&mut text, "Gateway", &gateway.0));
        }
        None => text.push_str("DHCP=yes\n"),
    }
    board.dns.iter().for_each(|server| line(&mut text, "DNS", &server.0));
    // By the machine id, which a read-only root does not keep, it would be another board each time.
    text.push_str("\n[DHCPv4]\nClientIdentifier=mac\n");
    text
}

const WIRELESS: &str = "[Match]\nType=wlan\n\n[Network]\nDHCP=yes\nMulticastDNS=yes\n\n\
                        [DHCPv4]\nClientIdentifier=mac\n";

fn line(text: &mut String, key: &str, value: &dyn std::fmt::Display) {
    writeln!(text, "{key}={value}").expect("a string takes everything");
}

fn time_servers(board: &BoardConfig) -> String {
    let names: Vec<_> = board.time_servers.iter().map(|name| name.0.0.as_str()).collect();
    // The clock is written now and then so that it goes on after a cut: an hour is enough.
    let mut text = "[Time]\nSaveIntervalSec=3600\n".to_owned();
    if !names.is_empty() {
        line(&mut text, "NTP", &names.join(" "));
    }
    text
}

/// What `wpa_supplicant` reads; none without a password.
fn wireless(wifi: &Wifi) -> Option<String> {
    let password = wifi.password.as_deref()?;
    let hex = |text: &str| crate::hex::encode(text.as_bytes());
    let mut text = "ctrl_interface=/run/wpa_supplicant\n".to_owned();
    if !wifi.country.is_empty() {
        line(&mut text, "country", &wifi.country);
    }
    // The name in hexadecimal can be any; the password is one without quotes.
    let name = hex(&wifi.name);
    write!(
        text,
        "network={{\n ssid={name}\n psk=\"{password}\"\n key_mgmt=WPA-PSK SAE\n ieee80211w=1\n}}\n"
    )
    .expect("a string takes everything");
    Some(text)
}

/// Tells the kernel of a sensor on a bus that cannot be asked: `ina219@1-0040` is an INA219 on bus 1
/// at address 0x40. A name of another form is of a sensor that the kernel knows by itself.
fn bind_sensor(places: &Places, name: &str) -> Option<io::Result<()>> {
    let (chip, at) = name.split_once('@')?;
    let (bus, address) = at.split_once('-')?;
    let bus: u8 = bus.parse().ok()?;
    let address = u16::from_str_radix(address, 16).ok()?;
    let bus = places.root.join(format!("sys/bus/i2c/devices/i2c-{bus}"));
    if bus.join(format!("{}-{address:04x}", at.split('-').next().unwrap_or(""))).exists() {
        return Some(Ok(()));
    }
    Some(fs::write(bus.join("new_device"), format!("{chip} {address:#x}")))
}
