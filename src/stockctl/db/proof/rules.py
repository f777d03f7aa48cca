"""What `db prove` can find, with codes that stay."""

from __future__ import annotations

from dataclasses import dataclass

from stockctl.core.report import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing that can be wrong with a migration."""

    code: str
    severity: Severity
    name: str
    what: str
    why: str


_ERROR, _WARNING = Severity.ERROR, Severity.WARNING
RULES = {
    rule.code: rule
    for rule in (
        Rule("P001", _ERROR, "up-fails", "The up script fails.", "Nothing after it was tried."),
        Rule(
            "P002",
            _ERROR,
            "down-fails",
            "The down script fails, on empty tables already.",
            "A rollback would stop here.",
        ),
        Rule(
            "P003",
            _ERROR,
            "down-differs",
            "After up and down the schema is not what it was before.",
            "The next release meets a database that no migration describes. In the diff, `-` was"
            " there before and is missing now, `+` was left or made by the down script.",
        ),
        Rule(
            "P004",
            _ERROR,
            "up-again-fails",
            "After up and down, up fails.",
            "Whoever rolled back cannot go forward again: the down script left something behind.",
        ),
        Rule(
            "P005",
            _ERROR,
            "up-again-differs",
            "The second up leads to another schema than the first.",
            "Two databases with the same migrations differ.",
        ),
        Rule(
            "P011",
            _ERROR,
            "up-needs-empty",
            "The up script works on empty tables only.",
            "It will fail where there is data.",
        ),
        Rule(
            "P012",
            _ERROR,
            "down-needs-empty",
            "The down script works on empty tables only.",
            "The rollback that somebody needs at night is one with data.",
        ),
        Rule(
            "P013",
            _ERROR,
            "down-loses",
            "The down script loses values that the up script had kept.",
            "The schema looks right afterwards, and the column is empty.",
        ),
        Rule(
            "P014",
            _WARNING,
            "up-loses",
            "The up script changes or drops values, and the down script does not bring them back.",
            "Often it cannot. Whoever rolls back should know, and have a backup.",
        ),
        Rule(
            "P015",
            _WARNING,
            "up-made-rows",
            "The up script fails on rows that were made up.",
            "They may not be like yours: a CHECK or a UNIQUE that yours keep, or do not.",
        ),
        Rule(
            "P016",
            _WARNING,
            "down-late-rows",
            "The down script fails once a row was written that only the new schema lets pass.",
            "A NULL, say, where NOT NULL comes back. The script has to say what becomes of it.",
        ),
        Rule(
            "P017",
            _ERROR,
            "again-with-rows",
            "With rows in the tables, up works once and not after the down script.",
            "Whoever rolled back cannot go forward again.",
        ),
    )
}
