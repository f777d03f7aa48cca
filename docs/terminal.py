"""Makes docs/terminal.svg: runs a command under a terminal and draws what it printed.

    python docs/terminal.py docs/terminal.svg stockctl deploy staging --tag 1.4.0

Nothing is edited: the picture holds the command line, its output and its colours.
"""

from __future__ import annotations

import fcntl
import io
import os
import pty
import re
import shlex
import struct
import sys
import termios
from pathlib import Path

from rich.console import Console
from rich.text import Text

COLUMNS, ROWS = 104, 50
_STEP = re.compile(r"\x1b\[(?P<count>\d*)(?P<what>[AK])|\x1b\[\?\d+[lh]|(?P<cr>\r)|(?P<lf>\n)")


def run(argv: list[str]) -> tuple[str, int]:
    """Everything that the command wrote to its terminal, and its exit code."""
    child, terminal = pty.fork()
    if child == 0:
        os.environ["TERM"] = "xterm-256color"
        fcntl.ioctl(1, termios.TIOCSWINSZ, struct.pack("HHHH", ROWS, COLUMNS, 0, 0))
        os.execvp(argv[0], argv)
    written = b""
    while block := _read(terminal):
        written += block
    return written.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65536)
    except OSError:  # Linux: the other end has closed
        return b""


def screen(written: str) -> list[str]:
    """What is left on the screen: the live line is erased before anything else is printed."""
    lines, row, last = [""], 0, 0
    for step in _STEP.finditer(written):
        lines[row] += written[last : step.start()]
        last = step.end()
        if step["what"] == "K":
            lines[row] = ""
        elif step["what"] == "A":
            row = max(0, row - int(step["count"] or 1))
        elif step["lf"]:
            row += 1
            lines += [""] * (row + 1 - len(lines))
    return [line for line in lines if line]


def draw(title: str, lines: list[str]) -> str:
    """As SVG, in whatever monospaced font the reader has."""
    console = Console(record=True, width=COLUMNS, file=io.StringIO())
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=True)
    svg = console.export_svg(title=title, unique_id="terminal")
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, monospace")


def main(arguments: list[str]) -> int:
    """The exit code is the command's own."""
    target, *argv = arguments
    written, code = run(argv)
    command = shlex.join(argv)
    lines = [f"\x1b[1m$ {command}\x1b[0m", *screen(written)]
    Path(target).write_text(draw(command, lines), encoding="utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
