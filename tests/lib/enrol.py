"""Enrols a finger as a person at a terminal does: reads what is asked, and types the answers.

Usage: enrol.py PIN COMMAND...     where COMMAND runs `goodwatt key enroll` for a key that is there
"""

import os
import pty
import re
import select
import sys
import time

# Five images over a slow line, on an emulated board.
SECONDS_MAX = 1200


class Terminal:
    """A program at a pseudo-terminal."""

    def __init__(self, command):
        self.child, self.end = pty.fork()
        if self.child == 0:
            os.execvp(command[0], command)
        self.shown, self.seen = "", 0
        self.deadline = time.monotonic() + SECONDS_MAX

    def more(self):
        """Reads what comes; false at the end."""
        left = self.deadline - time.monotonic()
        if left <= 0:
            sys.exit(f"not within {SECONDS_MAX} s; shown so far:\n{self.shown}")
        if not select.select([self.end], [], [], left)[0]:
            return True
        try:
            part = os.read(self.end, 4096)
        except OSError:
            return False
        self.shown += part.decode(errors="replace").replace("\r", "")
        return bool(part)

    def wait(self, pattern):
        """The match of a pattern in what was shown since the last one."""
        while not (found := re.compile(pattern).search(self.shown, self.seen)):
            if not self.more():
                sys.exit(f"ended without {pattern!r}:\n{self.shown}")
        self.seen = found.end()
        return found

    def answer(self, question, text):
        found = self.wait(question)
        os.write(self.end, text.encode() + b"\n")
        return found

    def close(self):
        while self.more():
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.child, 0)[1])


def main(pin, command):
    terminal = Terminal(command)
    for number in range(1, 6):
        terminal.wait(f"Placement {number} of 5")
    terminal.wait("It opens")
    terminal.answer("New PIN: ", pin)
    terminal.answer("The same again: ", pin)
    asked = terminal.answer(r"Word (\d+): ", "show")
    words = dict(re.findall(r"(\d+) ([a-z]+)", terminal.wait(r"(?s)\n\n.*24 [a-z]+").group()))
    if len(words) != 24:
        sys.exit(f"not 24 words:\n{terminal.shown}")
    for _ in range(4):
        asked = terminal.wait(r"Word (\d+): ")
        os.write(terminal.end, words[asked.group(1)].encode() + b"\n")
    terminal.answer(r"\[y/N\] ", "y")
    code = terminal.close()
    # Never the words.
    print(terminal.shown[: terminal.shown.index("New PIN")], terminal.shown[terminal.seen :], sep="\n")
    sys.exit(code)


main(sys.argv[1], sys.argv[2:])
