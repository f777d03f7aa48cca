"""What a remote host's shell does with files and locks. POSIX sh, GNU or BusyBox tools, flock.

Every argument comes as an argument, so that no name is ever read as code. Content comes over
standard input with its length, since a cut line looks like the end of it.
"""

from __future__ import annotations

import base64
import shlex
from collections.abc import Iterator
from typing import Protocol

from stockctl.core.command import Command

_BEGINS = "stockctl-begins"  # what stands before it came from a login shell's own files

# sshd has made the shell the leader of a new session and group, and `exec` keeps its number. A
# program cut off half-way is not run: its last word, the mark, is missing.
_START = """
printf "\\n%s %s\\n" "$1" "$$"
IFS= read -r size || exit 1
program=$(dd bs=1 count="$size" 2>/dev/null)
case $program in
  *"#$1") eval "$program" ;;
  *) exit 1 ;;
esac
"""

END = """
kill -s TERM -- "-$1" 2>/dev/null || exit 0
left=$2
while kill -0 "$1" 2>/dev/null && [ "$left" -gt 0 ]; do left=$((left - 1)); sleep 0.05; done
kill -s KILL -- "-$1" 2>/dev/null
left=40
while kill -0 "$1" 2>/dev/null && [ "$left" -gt 0 ]; do left=$((left - 1)); sleep 0.05; done
"""

# Reads what to do from standard input, until that ends.
STANDING = "exec sh"

READ = 'exec cat -- "$1"'

# folder, path, temporary, mode, size. Atomic: readers see the old content or the new.
WRITE = """
umask 077
mkdir -p -- "$1" || exit 1
trap 'rm -f -- "$3"' EXIT
trap '' PIPE
set -C
cat >"$3" || exit 1
set +C
[ "$(wc -c <"$3")" -eq "$5" ] || { echo "the line was cut" >&2; exit 1; }
chmod "$4" -- "$3" && sync -- "$3" && mv -fT -- "$3" "$2" && sync -- "$1"
"""

# folder, path, temporary, size. Alone for the moment of the write, after a line that a crash cut.
APPEND = """
umask 077
mkdir -p -- "$1" || exit 1
trap 'rm -f -- "$3"' EXIT
trap '' PIPE
set -C
cat >"$3" || exit 1
set +C
[ "$(wc -c <"$3")" -eq "$4" ] || { echo "the line was cut" >&2; exit 1; }
exec 9>>"$2" || exit 1
flock 9 || exit 1
if [ -s "$2" ]; then
  [ "$(tail -c 1 -- "$2" | wc -l)" -eq 1 ] || echo >&9 || exit 1
else
  sync -- "$1"
fi
cat -- "$3" >&9 && sync -- "$2"
"""

# What is neither there nor not there is a failure.
_IS_THERE = """
is_there() {
  [ -e "$1" ] && return 0
  said=$(stat -L -- "$1" 2>&1) && return 0
  case $said in
    *"No such file"* | *"Not a directory"* | *"Too many levels"*) return 1 ;;
  esac
  printf "%s\\n" "$said" >&2
  exit 1
}
"""

EXISTS = (
    _IS_THERE
    + """
if is_there "$1"; then echo yes; else echo no; fi
"""
)

# paths. For each that is there its place in the list, then its content. A file that is replaced
# meanwhile is read whole, since it is opened once.
FOUND = (
    _IS_THERE
    + """
place=0
for path; do
  if is_there "$path"; then
    echo ":$place"
    base64 <"$path" || exit 1
  fi
  place=$((place + 1))
done
"""
)

NAMES = (
    _IS_THERE
    + """
is_there "$1" || exit 0
[ -d "$1" ] || exit 0
cd -- "$1" || exit 1
for name in * .[!.]* ..?*; do
  { [ -e "$name" ] || [ -L "$name" ]; } && printf "%s\\000" "$name"
done
exit 0
"""
)

# folder, name. Of each folder in it that has such a file: its name, then what is in that.
FOUND_BELOW = (
    _IS_THERE
    + """
is_there "$1" || exit 0
[ -d "$1" ] || exit 0
cd -- "$1" || exit 1
for each in *; do
  [ -d "$each" ] && is_there "./$each/$2" || continue
  printf "%s\\000" "$each"
  base64 <"./$each/$2" || exit 1
  printf "\\000"
done
"""
)

# path, name to be, folder of both.
RENAME = 'mv -fT -- "$1" "$2" && sync -- "$3"'

# One after the other: rm itself goes on where one cannot be removed.
REMOVE = """
for path; do rm -rf -- "$path" || exit 1; done
"""

# folder, path, note. Held until standard input ends: we let go, or are gone.
LOCK = """
umask 077
mkdir -p -- "$1" || exit 1
exec 9>>"$2" || exit 1
tries=5
until flock -n 9; do
  tries=$((tries - 1))
  [ "$tries" -gt 0 ] || { echo held; exec cat -- "$2"; }
  sleep 0.02
done
printf "%s" "$3" 2>/dev/null >"$2"
echo ours
cat >/dev/null
: >"$2"
"""

# path. Nothing where it is free, else what its holder noted after a line that says so.
HOLDER = (
    _IS_THERE
    + """
is_there "$1" || exit 0
exec 9<"$1" || exit 1
flock -s -n 9 && exit 0
echo held
exec cat -- "$1"
"""
)


def call(script: str, *arguments: str) -> str:
    """The command line for sshd, which gives it to the user's login shell, whichever that is."""
    text = f"export LC_ALL=C\nprintf '\\n%s\\n' {_BEGINS}\n{script}"
    return f"exec {shlex.join(('sh', '-c', text, 'sh', *arguments))}"


def question(mark: str, script: str, arguments: tuple[str, ...], data: bytes) -> bytes:
    """What a shell that reads its program from standard input is told: whatever the script does
    stays in a shell below it, and a line with the mark ends what it says. The shell runs nothing
    before it has read the last brace."""
    given = shlex.join(arguments)
    content = f"printf %s {base64.b64encode(data).decode()} | base64 -d |" if data else ""
    lines = [
        f"{{ {content}(",
        f"set -- {given}",
        script,
        ")" if data else ") </dev/null",
        f"printf '\\n%s %s\\n' {mark} \"$?\"",
        f"printf '\\n%s \\n' {mark} >&2",
        "}",
        "",
    ]
    return "\n".join(lines).encode(errors="surrogateescape")


class Lines(Protocol):
    """A stream that is read line by line."""

    def readline(self) -> bytes: ...


def skip_greeting(answer: Lines) -> None:
    """Reads to where a script called like that begins to speak, or to the end."""
    while (line := answer.readline()) and line != f"{_BEGINS}\n".encode():
        pass


def contents(said: bytes) -> Iterator[tuple[int, bytes]]:
    """What FOUND said: places in the list, with what is in those files."""
    for each in said.split(b":")[1:]:
        place, _, encoded = each.partition(b"\n")
        yield int(place), base64.b64decode(encoded)


def contents_below(said: bytes) -> Iterator[tuple[str, bytes]]:
    """What FOUND_BELOW said: names of folders, with what is in their files."""
    parts = iter(said.split(b"\0"))
    for name, encoded in zip(parts, parts, strict=False):
        yield name.decode(errors="surrogateescape"), base64.b64decode(encoded)


def start(mark: str) -> str:
    """The command line for sshd under which a program is then read and run."""
    return f"exec {shlex.join(('sh', '-c', _START, 'sh', mark))}"


def program(command: Command, mark: str, takes_input: bool) -> str:
    """Shell text that becomes the Command; nobody sees it but the shell that reads it."""
    name = shlex.quote(command.argv[0])
    lines = [f"export {key}={shlex.quote(value)}" for key, value in command.environment.items()]
    if command.directory is not None:
        lines.append(f"cd -- {shlex.quote(str(command.directory))} || {{ echo folder; exit 1; }}")
    if "/" in command.argv[0]:
        lines.append(f"[ -e {name} ] || {{ echo missing; exit 1; }}")
        lines.append(f"[ -x {name} ] || {{ echo denied; exit 1; }}")
    else:
        lines.append(f"command -v {name} >/dev/null || {{ echo missing; exit 1; }}")
    end = "" if takes_input else " </dev/null"
    lines += ["echo go", f"exec {shlex.join(command.argv)}{end}", f"#{mark}"]
    return "\n".join(lines)
