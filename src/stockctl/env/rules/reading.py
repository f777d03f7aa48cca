"""Codes of the reading itself: what is found before there is an environment to look at."""

from __future__ import annotations

from stockctl.core.report import Severity
from stockctl.env.rules.base import known, prod

_SECRET = "V4s0nJq8Lk2PzXw7Rt5Yb1Gm9Hc3Df6E"
_SERVICE = (
    '[service]\nname = "shop"\ncompose = ["compose.yaml"]\nrelease = ["app"]\nweb = "app"\n'
    'port = 80\nimage = "shop"\nurl = "http://127.0.0.1:8080"\n'
)
_SOUND = {"prod.toml": 'env_file = ".env.prod"\n', ".env.prod": f"SESSION_SECRET={_SECRET}\n"}

known(
    "C001",
    "toml-unreadable",
    "The file cannot be read, is not UTF-8, or is not TOML.",
    "Nothing else in it can be checked until it can be read.",
    bad={"prod.toml": "protected = yes\n"},
    good={"prod.toml": "protected = true\n"},
)
known(
    "C002",
    "unknown-key",
    "A key that stockctl does not know; the nearest known one is named.",
    "A misspelt key is a setting that silently does nothing.",
    bad={"prod.toml": "protectd = true\n"},
    good={"prod.toml": "protected = true\n"},
)
known(
    "C003",
    "bad-value",
    "A value that is not of its type, or two keys that contradict each other.",
    "What is guessed here would be found out in production.",
    bad={"prod.toml": '[deploy]\nhealth_timeout = "60"\n'},
    good={"prod.toml": '[deploy]\nhealth_timeout = "60s"\n'},
)
known(
    "C004",
    "missing-key",
    "A key that must be set is not.",
    "There is no default that would be right.",
    bad={"prod.toml": '[[smoke]]\nname = "health"\n'},
    good={"prod.toml": '[[smoke]]\nname = "health"\npath = "/health"\n'},
)
known(
    "C005",
    "unset-reference",
    "A TOML file has `${NAME}`, and NAME is set neither in the env file nor in the process.",
    "An empty string in its place would be a URL without a password, or a path without an end.",
    bad={"prod.toml": '[backup]\nstore = "${BACKUPS}/prod"\n'},
    good={"prod.toml": '[backup]\nstore = "/var/backups/prod"\n'},
)
known(
    "C006",
    "missing-file",
    "A file or folder that the configuration names is not there.",
    "A command would fail on it half-way.",
    bad={"prod.toml": 'env_file = ".env.prod"\n'},
    good=_SOUND,
)
known(
    "C007",
    "bad-extends",
    "`extends` names a file that is not there, or goes in a circle.",
    "Half of the configuration would be missing.",
    bad={"prod.toml": 'extends = "bse"\n', "base.toml": ""},
    good={"prod.toml": 'extends = "base"\n', "base.toml": ""},
)
known(
    "C010",
    "compose-unreadable",
    "A compose file is not YAML, or has no services.",
    "Compose would refuse it when the deploy has begun.",
    bad={"prod.toml": _SERVICE, "compose.yaml": "services:\n  app: [\n"},
    good={"prod.toml": _SERVICE, "compose.yaml": "services:\n  app:\n    image: app\n"},
)
known(
    "E000",
    "env-file-unreadable",
    "The env file cannot be read, is not UTF-8 text, holds a NUL byte, or is larger than 8 MB.",
    "Nothing in it can be checked.",
    bad={**_SOUND, ".env.prod": "A=\0\n"},
    good=_SOUND,
)
known(
    "E022",
    "sealed-in-clear",
    "The env file is named like a sealed one (`….age`) and holds plaintext.",
    "Sealed files are committed: one that is not sealed takes its secrets into the history.",
    bad={"prod.toml": 'env_file = "prod.env.age"\n', "prod.env.age": "A=1\n"},
    good=_SOUND,
)
known(
    "E037",
    "sealed-for-others",
    "The sealed env file cannot be opened here: no identity, another one's, or it is damaged.",
    "Without its values nothing can be checked or deployed. The message says whose key opens it.",
    bad={
        "prod.toml": 'env_file = "prod.env.age"\n',
        "prod.env.age": "age-encryption.org/v1\n-> X25519 damaged\n",
    },
    good=_SOUND,
)
known(
    "W110",
    "ignore-without-effect",
    "A `# stockctl: ignore` matches nothing any more.",
    "It would hide the next finding with that code, which nobody has looked at.",
    bad=prod("# stockctl: ignore E014 -- the sandbox has no other\nPORT=5000\n"),
    good=prod("# stockctl: ignore W102 -- what the library reads\nlog_level=info\n"),
    severity=Severity.WARNING,
)
known(
    "W111",
    "ignore-does-not-count",
    "A `# stockctl: ignore` without a reason, without a code, or with one that cannot be ignored.",
    "Whoever finds it in a year wants to know why it was right.",
    bad=prod("# stockctl: ignore W102\nlog_level=info\n"),
    good=prod("# stockctl: ignore W102 -- what the library reads\nlog_level=info\n"),
    severity=Severity.WARNING,
)
