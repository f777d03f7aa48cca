"""From the env file in the clear to the sealed one and back. Killed between any two steps, the
same command run again completes the work."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from stockctl.core.errors import ConfigurationError, Refused, Where
from stockctl.env.draft import Draft, plain_path, sealed_path, sharers, written_env_file
from stockctl.env.keys import same_key
from stockctl.env.sheet import (
    PUBLIC,
    read_or_none,
    read_sheet,
    remove_file,
    replace_file,
)
from stockctl.env.toml_edit import switch_env_file
from stockctl.env.vault import is_sealed, looks_sealed, open_sealed, seal


@dataclass(frozen=True, slots=True)
class Done:
    """The env file that counts now, its name in TOML, and what a person should know."""

    file: str
    env_file: str
    changed: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def already_sealed(draft: Draft) -> bool:
    """Whether there is nothing to seal, at most a plaintext to remove."""
    raw = read_or_none(draft.path, draft.label)
    return is_sealed(draft.path) and raw is not None and looks_sealed(raw)


def seal_env_file(draft: Draft, more: Sequence[str] = (), *, again: bool = False) -> Done:
    """Seals, names the sealed file in TOML, removes the plaintext, in this order, each on disk
    before the next. The plaintext goes only when the sealed file opens here and says the same."""
    target = sealed_path(draft)
    label = draft.project.label(target)
    changed = True
    if not already_sealed(draft):
        _seal_into(draft, more)
    elif again:
        sheet = read_sheet(draft)
        data = seal(sheet.plain, _recipients(draft, more))
        replace_file(draft.path, data, sheet.raw, label, PUBLIC)
    else:
        changed = False
    env_file, switched = _name_in_toml(draft, target.name)
    notes: list[str] = []
    warnings: list[str] = []
    removed = _remove_plaintext(draft, notes, warnings)
    if more and changed:
        once = "for --recipient it is sealed this once: generate, rotate and edit seal for"
        warnings.append(f"{once} [seal.recipients]; add the key there")
    return Done(label, env_file, changed or switched or removed, tuple(notes), tuple(warnings))


def unseal_env_file(draft: Draft) -> Done:
    """The plaintext under its plain name, 0600, and that name in TOML; the sealed file stays.

    Raises Refused where the plain name holds something else.
    """
    target = plain_path(draft)
    label = draft.project.label(target)
    source = _sealed_draft(draft)
    sheet = read_sheet(source)
    if sheet.raw is None:
        raise _missing(draft)
    if not sheet.sealed:
        return Done(label, draft.written, changed=False)
    existing = read_or_none(target, label)
    if existing is not None and existing != sheet.plain:
        raise Refused(
            f"there is a {label} that says something else than {source.label}",
            hint=f"Move it away, or remove it: rm {label}",
        )
    if existing is None:
        replace_file(target, sheet.plain, None, label)
    env_file, _ = _name_in_toml(draft, target.name)
    note = f"{source.label} stays; it is not read any more"
    return Done(label, env_file, changed=True, notes=(note,))


def _sealed_draft(draft: Draft) -> Draft:
    """The same with the sealed file, also where TOML names the plain one that is not there."""
    there = read_or_none(draft.path, draft.label) is not None
    return draft if there else replace(draft, path=sealed_path(draft))


def _seal_into(draft: Draft, more: Sequence[str]) -> None:
    """Writes the sealed file from the plaintext, which stays."""
    target = sealed_path(draft)
    label = draft.project.label(target)
    recipients = _recipients(draft, more)
    named = read_or_none(draft.path, draft.label)
    if named is not None and looks_sealed(named):
        raise ConfigurationError(
            f"is sealed already, but its name does not end in {target.suffix}",
            where=Where(draft.label),
            hint=f"mv {draft.label} {label}, and name it in env_file",
        )
    if is_sealed(draft.path) and named is not None:  # plaintext by the name of a sealed file
        data = seal(named, recipients)
        open_sealed(data, label, draft.environment.seal, draft.process)  # or it would be lost
        replace_file(target, data, named, label, PUBLIC)
        return
    source = plain_path(draft)
    plain = read_or_none(source, draft.project.label(source))
    if plain is None:
        raise _missing(draft)
    before = read_or_none(target, label)
    replace_file(target, seal(plain, recipients), before, label, PUBLIC)


def _remove_plaintext(draft: Draft, notes: list[str], warnings: list[str]) -> bool:
    """Whether it went; in any case says why."""
    plain, target = plain_path(draft), sealed_path(draft)
    name, label = draft.project.label(plain), draft.project.label(target)
    left = read_or_none(plain, name)
    if left is None:
        return False
    if others := sharers(draft, plain):
        warnings.append(f"{name} stays: it is also the env file of {', '.join(others)}")
        return False
    try:
        sealed = read_or_none(target, label) or b""
        same = open_sealed(sealed, label, draft.environment.seal, draft.process) == left
    except ConfigurationError as error:
        warnings.append(f"{name} stays, in the clear, since {label} {error.message}")
        return False
    if not same:
        raise Refused(
            f"{label} is sealed and {name}, in the clear, says something else",
            hint=f"Bring over what is new with stockctl env edit {draft.name}, then rm {name}",
        )
    remove_file(plain, name)
    notes.append(f"{name} is removed: {label} opens here and says the same")
    return True


def _name_in_toml(draft: Draft, name: str) -> tuple[str, bool]:
    """`env_file` names `name` from now on; what it says, and whether that is new."""
    if draft.path.name == name:
        return draft.written, False
    toml = draft.project.file(draft.name)
    label = draft.project.label(toml)
    raw = toml.read_bytes()
    text = switch_env_file(raw.decode("utf-8"), draft.written, name, label)
    replace_file(toml, text.encode("utf-8"), raw, label, PUBLIC)
    return written_env_file(draft.project, label), True


def _recipients(draft: Draft, more: Sequence[str]) -> dict[str, str]:
    known = dict(draft.environment.seal.recipients)
    for number, key in enumerate(more, 1):
        if not any(same_key(key, other) for other in known.values()):
            known[f"--recipient {number}"] = key
    return known


def _missing(draft: Draft) -> ConfigurationError:
    where = draft.layers.where(("env_file",))
    hint = f"stockctl env generate {draft.name}"
    return ConfigurationError(f"there is no {draft.label}", where=where, hint=hint)
