//! The serial line of a fingerprint sensor. Where it is the header's, the console leaves it: the kernel's
//! own messages would come between the frames, and whoever opens a console's line takes it from it.

use std::fs;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

use super::config::FingerPort;
use super::{Places, files};

/// The kernel's command line, on the card's first partition.
const CMDLINE_FILE: &str = "cmdline.txt";
/// What `goodwatt key enroll` and `goodwatt finger` open where nobody names another line.
const LINK: &str = "dev/serial0";
/// The lines that a header can have, as device trees of Linux count them (`serial0` is a PL011, `serial1`
/// the small UART beside it), and the word that puts a console there.
const LINES: [(&str, &str, &str); 2] = [
    ("serial0", "/dev/ttyAMA0", "console=ttyAMA0,115200"),
    ("serial1", "/dev/ttyS1", "console=ttyS1,115200"),
];

/// Gives the line to the sensor, or back to the console where there is none.
///
/// # Errors
/// With a sentence for the owner.
pub(super) fn give_line(places: &Places, port: Option<&FingerPort>) -> Result<(), String> {
    let header = match port {
        Some(port) if port.0 == FingerPort::HEADER => Some(header(places)?),
        _ => None,
    };
    if let Some(path) = header.map(|line| line.1).or(port.map(|port| port.0.as_str())) {
        link(&places.root.join(LINK), path)
            .map_err(|error| format!("the line of [finger] could not be named: {error}"))?;
    }
    let moved = set_consoles(places, header.map(|line| line.2))
        .map_err(|error| format!("{CMDLINE_FILE}, which says where the console is: {error}"))?;
    match header {
        Some((_, line, _)) if moved => Err(format!(
            "[finger] port = \"header\": the serial console leaves pins 8 and 10 ({line}) with the \
             next start. Start the board once more"
        )),
        _ => Ok(()),
    }
}

/// The line of pins 8 and 10: it is where the device tree of a board puts the console.
fn header(places: &Places) -> Result<(&'static str, &'static str, &'static str), String> {
    let path = places.root.join("proc/device-tree/chosen/stdout-path");
    let text = fs::read_to_string(path).unwrap_or_default();
    let alias = text.split([':', '\0']).next().unwrap_or_default();
    LINES.into_iter().find(|line| line.0 == alias).ok_or_else(|| {
        "[finger] port = \"header\": this board does not say which line that is. Name it, such as \
         port = \"/dev/ttyS0\""
            .to_owned()
    })
}

fn link(link: &Path, to: &str) -> io::Result<()> {
    if fs::read_link(link).is_ok_and(|found| found == Path::new(to)) {
        return Ok(());
    }
    match fs::remove_file(link) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(to, link)
}

/// Puts consoles onto all lines but one; says whether the card had it otherwise. A card without the
/// file is one that starts in another way.
fn set_consoles(places: &Places, but: Option<&str>) -> io::Result<bool> {
    let text = match files::read(&places.boot.join(CMDLINE_FILE)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        text => text?,
    };
    let wanted = consoles(&text, but);
    if wanted == text {
        return Ok(false);
    }
    files::put_on_boot(&places.boot, CMDLINE_FILE, &wanted)
}

/// The command line with consoles on all lines but one, in the image's order.
fn consoles(text: &str, but: Option<&str>) -> String {
    let ours = |word: &&str| LINES.iter().any(|line| line.2 == *word);
    let mut words: Vec<&str> = text.split_whitespace().filter(|word| !ours(word)).collect();
    let at = words.iter().position(|word| *word == "console=tty0").map_or(0, |at| at + 1);
    let kept = LINES.iter().map(|line| line.2).filter(|console| Some(*console) != but);
    words.splice(at..at, kept);
    words.join(" ") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn consoles_leave_a_line_and_come_back() {
        let shipped = "console=tty0 console=ttyAMA0,115200 console=ttyS1,115200 ro quiet\n";
        let without = "console=tty0 console=ttyAMA0,115200 ro quiet\n";
        assert_eq!(consoles(shipped, None), shipped);
        assert_eq!(consoles(shipped, Some(LINES[1].2)), without);
        assert_eq!(consoles(without, Some(LINES[1].2)), without);
        assert_eq!(consoles(without, None), shipped);
    }
}
