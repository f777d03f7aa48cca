"""The env file as a file: who can read it, where it goes."""

from __future__ import annotations

from collections.abc import Iterator

from stockctl.core.errors import Where
from stockctl.core.report import Finding, Severity
from stockctl.env.rules.base import Subject, found, prod, rule


@rule(
    "E020",
    Severity.ERROR,
    without_values=True,
    bad={**prod("A=1\n"), "mode of .env.prod": "0644"},
    good=prod("A=1\n"),
)
def readable_by_others(subject: Subject) -> Iterator[Finding]:
    """Others on this machine can read the env file; it needs mode 0600.

    Every account and every service on the machine would have its secrets.
    """
    if subject.mode is not None and subject.mode & 0o077 and not subject.env.sealed:
        label = subject.env.label
        message = f"has mode {subject.mode:04o}, 0600 is needed"
        yield found("E020", Where(label), message, f"chmod 600 {label}")


@rule(
    "E021",
    Severity.ERROR,
    without_values=True,
    bad={**prod("A=1\n"), "tracked by git": ".env.prod"},
    good=prod("A=1\n"),
)
def tracked_by_git(subject: Subject) -> Iterator[Finding]:
    """git tracks the env file.

    Its secrets are in the history of every clone, also after it is removed: replace them.
    """
    if subject.tracked and not subject.env.sealed:
        label = subject.env.label
        fix = f"git rm --cached {label}, add it to .gitignore, rotate its secrets; or seal it."
        yield found("E021", Where(label), "is tracked by git", fix)


@rule(
    "W104",
    Severity.WARNING,
    bad={**prod("PORT=5000\n"), "process has": "PORT=6000"},
    good=prod("PORT=5000\n"),
)
def shadowed_by_process(subject: Subject) -> Iterator[Finding]:
    """The process environment has another value for the variable.

    stockctl takes the file's. `docker compose` typed by hand takes the process's.
    """
    for binding in subject.bound.values():
        other = subject.process.get(binding.key)
        if other is not None and other != binding.value.reveal():
            message = f"{binding.key} has another value in the process environment"
            yield found("W104", binding.where, message, f"unset {binding.key}")


@rule(
    "W112",
    Severity.WARNING,
    bad={
        "prod.toml": 'env_file = "prod.env.age"\n',
        "prod.env.age": "(sealed) A=1\n",
        ".env.prod": "A=1\n",
    },
    good=prod("A=1\n"),
)
def plaintext_beside_sealed(subject: Subject) -> Iterator[Finding]:
    """A plaintext copy lies beside the sealed env file.

    It is not read, it is in nobody's mind, and it holds the secrets.
    """
    if subject.copy is not None:
        message = f"a plaintext copy lies beside it: {subject.copy}"
        yield found("W112", Where(subject.env.label), message, f"rm {subject.copy}")
