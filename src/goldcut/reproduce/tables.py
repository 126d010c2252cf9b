"""The tables by name."""

from collections.abc import Mapping

from goldcut.errors import RunError
from goldcut.reproduce import edge, labels, levels, origins, rule, stress
from goldcut.reproduce.table import Table
from goldcut.sources.factory import suggest

TABLES: Mapping[str, Table] = {
    "levels": Table("a", "The level of the representation against the attack's error", levels.plan, levels.answer),
    "rule": Table("b", "The R_c^2 rule against the zone that attacks find", rule.plan, rule.answer),
    "labels": Table("c", "Label distributions: accuracy, R_c^2, the attack's error", labels.plan, labels.answer),
    "stress": Table("d", "Enhanced attackers at both levels", stress.plan, stress.answer),
    "data": Table("e", "The kind of images, and attackers with others", origins.plan, origins.answer),
    "edge": Table("f", "What the zone costs the device", edge.plan, edge.answer),
}


def find_table(name: str) -> tuple[str, Table]:
    """A table by its name or its letter.

    Raises:
        RunError: There is none; near names are listed.

    Example:
        >>> find_table("c")[0]
        'labels'
    """
    for key, table in TABLES.items():
        if name in (key, table.letter):
            return key, table
    raise RunError(f"there is no table {name!r}", suggest(name, TABLES))
