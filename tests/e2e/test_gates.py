"""Gates before a real deploy: a red one stops it before anything is touched."""

from __future__ import annotations

from typing import Any

from tests.e2e.conftest import StagingProject
from tests.terminal import Terminal


def test_a_red_gate_stops_a_deploy_and_is_overridden_by_name(project: StagingProject) -> None:
    project.toml('\n[gates]\nsmoke_within = "1h"\nconnections_used_at_most = 90\n')
    project.toml('[gates.commands.audit]\nrun = ["false"]\n')
    red = project.deploy("v1", "--override", "smoke", "--reason", "the first deploy", "--json")
    assert red.code == 4
    assert red.data["error"]["message"] == "2 of 5 gates are red: connections, audit"
    assert project.docker("ps", "-aq", "--filter", f"name={project.name}") == ""
    assert not (project.directory / "journal.jsonl").exists()
    assert project.deploy("v1", "--override", "audit").code == 2

    names = ("smoke", "connections", "audit")
    overrides = [word for name in names for word in ("--override", name)]
    done = project.deploy("v1", *overrides, "--reason", "the first deploy")
    assert done.code == 0, done.err
    assert "GATE audit OVERRIDDEN: the first deploy" in done.err
    entries = project.ok("journal", "staging", "--json").data["data"]["entries"]
    assert {e["command"] for e in entries} >= {
        f"override gate {n}: the first deploy" for n in names
    }

    gates = preflight(project, "staging", "--tag", "v2")
    assert {name: gate["ok"] for name, gate in gates.items()} == {
        "environment": True,
        "migrations": True,
        "smoke": True,  # the deploy did
        "connections": True,
        "audit": False,
    }

    (project.root / "environments" / "next.toml").write_text(
        'extends = "base"\nenv_file = ".env.staging"\n'
        '[gates]\nstaging = "staging"\nstaging_for = "0s"\nsmoke_within = "1h"\n'
    )
    same = preflight(project, "next", "--image", f"{project.name}-api:v1")
    assert same["staging"]["ok"], same
    assert same["smoke"]["ok"]
    other = preflight(project, "next", "--image", "debian:bookworm-slim")
    assert "staging has another image" in other["staging"]["detail"]


def test_a_working_tree_that_is_not_committed_was_never_rehearsed(project: StagingProject) -> None:
    project.toml('\n[gates]\nrehearsed_within = "7d"\n')
    file = project.commit("one")
    tag = ("staging", "--tag", "v2")
    assert preflight(project, *tag)["rehearsal"]["detail"] == "v2 was not rehearsed"
    file.write_text("two")
    for arguments in (tag, ("staging",)):
        red = preflight(project, *arguments)["rehearsal"]
        assert red["fix"] == "Commit first, then: stockctl deploy rehearse staging"
    refused = project.deploy("v2", "--json")
    assert refused.code == 4
    assert "differs from its commit" in refused.err + refused.out
    named = preflight(project, "staging", "--image", f"{project.name}-api:v2")
    assert named["rehearsal"]["detail"] == "v2 was not rehearsed"


def test_a_person_at_the_terminal_is_asked(project: StagingProject) -> None:
    project.toml('\n[gates]\non_call = "1d"\n')
    terminal = Terminal(project.root, "deploy", "preflight", "staging", "--tag", "v1")
    terminal.expect("Who is on call? ")
    terminal.type("\n")
    assert terminal.end() == 4  # nothing typed is no answer
    assert preflight(project, "staging", "--tag", "v1")["on-call"]["ok"] is False

    terminal = Terminal(project.root, "deploy", "preflight", "staging", "--tag", "v1")
    terminal.expect("Who is on call? ")
    terminal.type("Ada, until Monday\n")
    assert terminal.end() == 0, terminal.shown
    kept = preflight(project, "staging", "--tag", "v1")["on-call"]
    assert kept["ok"] and "Ada, until Monday" in kept["detail"]
    entries = project.ok("journal", "staging", "--json").data["data"]["entries"]
    assert [e["command"] for e in entries] == ["gate on-call: Ada, until Monday"]

    assert project.run("deploy", "preflight", "staging", "--answer", "on-call=").code == 2
    again = Terminal(project.root, "deploy", "preflight", "staging", "--tag", "v1")
    assert again.end() == 0
    assert "Who is on call? \r" not in again.shown  # asked once, until it is too old


def preflight(project: StagingProject, *arguments: str) -> dict[str, dict[str, Any]]:
    done = project.run("deploy", "preflight", *arguments, "--json")
    gates = {gate["name"]: gate for gate in done.data["data"]["gates"]}
    assert done.code == (0 if all(gate["ok"] for gate in gates.values()) else 4)
    return gates
