"""Table (e): the kind of images: natural, faces, X-rays, digits, and attackers with images of another origin."""

import math
from itertools import product

from goldcut.records import AttackRecord, ClaimRecord
from goldcut.reproduce.judge import Figure, judge
from goldcut.reproduce.levels import attacked, attacked_zone, candidate_rows
from goldcut.reproduce.packs import AUXILIARY
from goldcut.reproduce.scale import Scale
from goldcut.reproduce.steps import Step
from goldcut.reproduce.table import Answer, Results, differ, with_needs

NETWORK = "vgg19"
KINDS = ("natural", "digits", "faces", "xray")


def _cases() -> tuple[tuple[str, bool], ...]:
    """Kind of images, and whether the attacker's are of another origin."""
    return tuple((kind, foreign) for kind, foreign in product(KINDS, (False, True)) if kind in AUXILIARY or not foreign)


def plan(scale: Scale) -> tuple[Step, ...]:
    """One network for each kind of images, attacked by one or two attackers."""
    return with_needs(*(attacked(scale, NETWORK, kind, foreign=foreign) for kind, foreign in _cases()))


def answer(scale: Scale, results: Results) -> Answer:
    """Rows as in table (a), and where the zone begins on each kind of images."""
    rows = tuple(
        {"attacker": "foreign" if foreign else "own", **row}
        for kind, foreign in _cases()
        for row in candidate_rows(scale, NETWORK, results, kind, foreign=foreign)
    )
    claims = (_moved("faces-earlier", "faces", scale, results), _moved("digits-later", "digits", scale, results))
    return Answer(rows, claims)


def _moved(id: str, kind: str, scale: Scale, results: Results) -> ClaimRecord:
    """How many candidates the zone begins later on a kind of images than on natural ones."""
    here, there = (_begin(scale, one, results) for one in (kind, "natural"))
    undecided = -1 in (here, there)
    figure = None
    if here is not None and there is not None:
        figure = Figure.exact(math.nan if undecided else float(here - there))
    return judge(
        id,
        f"{scale.networks[NETWORK].spec}, {kind} and natural images",
        figure,
        difference=differ(scale, NETWORK),
        doubt="the attack finds or decides no zone on one of them" if figure and undecided else "",
    )


def _begin(scale: Scale, kind: str, results: Results) -> int | None:
    """Candidates before the zone as the attack finds it; -1 where it finds or decides none; None where not run."""
    record: AttackRecord | None = results.get(attacked(scale, NETWORK, kind))
    if record is None:
        return None
    network = scale.networks[NETWORK]
    first = attacked_zone(network, record).first
    return network.candidates.index(first) if first is not None else -1
