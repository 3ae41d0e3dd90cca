//! Asks a person at the terminal, without showing what is typed.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};

use rustix::termios::{
    LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr,
};
use zeroize::Zeroizing;

use super::passphrase::{LONGEST, Passphrase, PassphraseError, from_bytes};

/// Asks at the terminal of this process, whatever standard input is.
pub(super) fn ask(question: &str) -> Result<Passphrase, PassphraseError> {
    let terminal = OpenOptions::new().read(true).write(true).open("/dev/tty");
    ask_at(&terminal.map_err(|_| PassphraseError::NoTerminal)?, question)
}

/// Asks at this terminal.
fn ask_at(terminal: &File, question: &str) -> Result<Passphrase, PassphraseError> {
    let silent = Silent::at(terminal).map_err(PassphraseError::Terminal)?;
    let mut terminal = terminal;
    terminal.write_all(question.as_bytes()).map_err(PassphraseError::Terminal)?;
    let line = read_line(terminal);
    drop(silent);
    // The person's own line feed was not shown either.
    terminal.write_all(b"\n").map_err(PassphraseError::Terminal)?;
    from_bytes(line?.typed())
}

/// Reads keys until the line ends.
fn read_line(mut terminal: &File) -> Result<Line, PassphraseError> {
    let mut line = Line::default();
    let mut key = Zeroizing::new([0; 1]);
    loop {
        terminal.read_exact(key.as_mut_slice()).map_err(|error| match error.kind() {
            io::ErrorKind::UnexpectedEof => PassphraseError::Cancelled,
            _ => PassphraseError::Terminal(error),
        })?;
        match line.press(key[0]) {
            Typing::GoesOn => {}
            Typing::Ended => return Ok(line),
            Typing::GivenUp => return Err(PassphraseError::Cancelled),
        }
    }
}

/// A terminal that shows nothing and hands over single keys, until this is dropped.
///
/// Interrupt keys come as keys too: a process killed at the prompt would leave the terminal mute.
struct Silent<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silent<'a> {
    fn at(terminal: &'a File) -> io::Result<Self> {
        let before = tcgetattr(terminal)?;
        let mut modes = before.clone();
        modes.local_modes -= LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG;
        modes.special_codes[SpecialCodeIndex::VMIN] = 1;
        modes.special_codes[SpecialCodeIndex::VTIME] = 0;
        // Flushes what was typed before the question stood there.
        tcsetattr(terminal, OptionalActions::Flush, &modes)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silent<'_> {
    fn drop(&mut self) {
        // Where the terminal is gone there is nothing left to restore.
        let _ = tcsetattr(self.terminal, OptionalActions::Now, &self.before);
    }
}

/// What a key did to the line.
#[derive(Debug, Eq, PartialEq)]
enum Typing {
    GoesOn,
    Ended,
    GivenUp,
}

/// A line being typed: its room is taken at once, so that growing leaves no copy behind.
struct Line(Zeroizing<Vec<u8>>);

impl Default for Line {
    fn default() -> Self {
        Self(Zeroizing::new(Vec::with_capacity(LONGEST + 1)))
    }
}

impl Line {
    /// Takes one byte from the keyboard.
    fn press(&mut self, key: u8) -> Typing {
        match key {
            b'\n' | b'\r' => return Typing::Ended,
            CTRL_C | CTRL_BACKSLASH => return Typing::GivenUp,
            CTRL_D if self.0.is_empty() => return Typing::GivenUp,
            CTRL_D => return Typing::Ended,
            CTRL_U => self.0.clear(),
            // Nothing may stop the process here either.
            CTRL_Z => {}
            BACKSPACE | DELETE => self.erase(),
            // One byte over the limit is kept, so that too long is noticed.
            _ if self.0.len() <= LONGEST => self.0.push(key),
            _ => {}
        }
        Typing::GoesOn
    }

    /// Takes the last character away, all bytes of it.
    fn erase(&mut self) {
        while self.0.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
    }

    /// What stands there.
    fn typed(&self) -> &[u8] {
        &self.0
    }
}

const CTRL_C: u8 = 0x03;
const CTRL_D: u8 = 0x04;
const BACKSPACE: u8 = 0x08;
const CTRL_U: u8 = 0x15;
const CTRL_Z: u8 = 0x1a;
const CTRL_BACKSLASH: u8 = 0x1c;
const DELETE: u8 = 0x7f;

#[cfg(test)]
mod tests {
    use std::thread;

    use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};

    use super::*;

    #[test]
    fn keys_edit_the_line() {
        let check = |keys: &[u8], want: Typing, left: &[u8]| {
            let mut line = Line::default();
            let mut state = Typing::GoesOn;
            for key in keys {
                assert_eq!(state, Typing::GoesOn, "{keys:?} go on behind the end");
                state = line.press(*key);
            }
            assert_eq!((state, line.typed()), (want, left), "{keys:?}");
        };
        check(b"abc\n", Typing::Ended, b"abc");
        check(b"abc\r", Typing::Ended, b"abc");
        check(b"ab\x7f\x08\x08c", Typing::GoesOn, b"c");
        check("a\u{e9}\u{20ac}\x7f".as_bytes(), Typing::GoesOn, "a\u{e9}".as_bytes());
        check(b"a\x1ab", Typing::GoesOn, b"ab");
        check(b"wrong\x15right", Typing::GoesOn, b"right");
        check(b"abc\x03", Typing::GivenUp, b"abc");
        check(b"\x04", Typing::GivenUp, b"");
        check(b"abc\x04", Typing::Ended, b"abc");
        check(&[b'x'; LONGEST + 9], Typing::GoesOn, &[b'x'; LONGEST + 1]);
    }

    /// A new terminal: the person's end and the program's end.
    fn terminal() -> (File, File) {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY;
        let person = openpt(flags).expect("a pseudo-terminal");
        grantpt(&person).expect("it is ours");
        unlockpt(&person).expect("it is ours");
        let program = ioctl_tiocgptpeer(&person, flags).expect("its other end");
        (File::from(person), File::from(program))
    }

    /// Answers `Passphrase: ` with `keys`, then gives the result and all that was shown.
    fn dialogue(keys: &'static [u8]) -> (Result<Passphrase, PassphraseError>, Vec<u8>) {
        let question = "Passphrase: ";
        let (mut person, program) = terminal();
        let typist = thread::spawn(move || {
            let mut shown = vec![0; question.len()];
            person.read_exact(&mut shown).expect("the question");
            person.write_all(keys).expect("room for the keys");
            let mut rest = [0; 64];
            let count = person.read(&mut rest).expect("the line feed");
            shown.extend_from_slice(&rest[..count]);
            (person, shown)
        });
        let before = tcgetattr(&program).expect("a terminal").local_modes;
        let result = ask_at(&program, question);
        // The person's end stays open until here: without it there is no terminal to look at.
        let (_person, shown) = typist.join().expect("the typist does not panic");
        let after = tcgetattr(&program).expect("a terminal").local_modes;
        assert_eq!(before, after, "the terminal is as it was");
        (result, shown)
    }

    #[test]
    fn nothing_typed_is_shown() {
        let (result, shown) = dialogue(b"open sesame\r");
        assert_eq!(result.expect("a passphrase").as_bytes(), b"open sesame");
        assert_eq!(shown, b"Passphrase: \r\n");
    }

    #[test]
    fn an_interrupt_leaves_the_terminal_as_it_was() {
        let (result, shown) = dialogue(b"open\x03");
        assert!(matches!(result, Err(PassphraseError::Cancelled)), "{result:?}");
        assert_eq!(shown, b"Passphrase: \r\n");
    }
}
