"""Table (a): the level of the representation against the attack's error.

The paper says that the error jumps at the zone, and not whether a jump is a factor or a difference. Where errors begin
near zero the two disagree, so both are looked at.
"""

import math
from collections.abc import Callable
from itertools import pairwise

from goldcut.records import AttackRecord, AttackResult, ClaimRecord, ScanRecord, Zone
from goldcut.reproduce.judge import Figure, judge, ratio, rise
from goldcut.reproduce.scale import Network, Scale
from goldcut.reproduce.steps import Attacked, Scan, Step, Training
from goldcut.reproduce.table import Answer, Results, Row, attack_cells, best_at, differ, with_needs
from goldcut.zone.post_hoc import post_hoc_zone

NETWORKS = ("ir152", "cnn4", "vit64", "vgg19", "resnet50")
"""Looked at where the scale has them."""

Measure = Callable[[AttackResult | None, AttackResult | None], Figure | None]
"""How much larger an error is than another one: `ratio` or `rise`."""


def networks(scale: Scale) -> tuple[str, ...]:
    """Names of the scale's networks."""
    return tuple(name for name in NETWORKS if name in scale.networks)


def attacked(scale: Scale, name: str, data: str = "natural", *, foreign: bool = False) -> Attacked:
    """The attack on every candidate of a network under one-hot labels."""
    return Attacked(Training(name, data), scale.networks[name].candidates, foreign=foreign)


def plan(scale: Scale) -> tuple[Step, ...]:
    """A training, a scan and an attack for each network."""
    return with_needs(*(attacked(scale, name) for name in networks(scale)))


def answer(scale: Scale, results: Results) -> Answer:
    """Error and statistics at every candidate, and the claims about them."""
    names = networks(scale)
    rows = tuple(row for name in names for row in candidate_rows(scale, name, results))
    claims = [_shallow_ratio(scale, name, results) for name in names if not scale.networks[name].tokens]
    if "ir152" in names:
        claims += [
            _fidelity(scale, results),
            _jump("ir-jump", ratio, scale, results),
            _jump("ir-rise", rise, scale, results),
            _pair("ir-ratio", scale, "ir152", results),
        ]
    if "vgg19" in names:
        claims.append(_pair("vgg-ratio", scale, "vgg19", results))
    if "vit64" in names:
        claims.append(_tokens(scale, results))
    return Answer(rows, tuple(claims))


def candidate_rows(
    scale: Scale, name: str, results: Results, data: str = "natural", *, foreign: bool = False
) -> tuple[Row, ...]:
    """A row for each candidate of a network that has been attacked."""
    step = attacked(scale, name, data, foreign=foreign)
    scan: ScanRecord | None = results.get(Scan(step.training))
    if scan is None or step not in results:
        return ()
    known = {alias: row for row in scan.cuts for alias in (row.name, *row.aliases)}
    return tuple(
        {
            "network": scale.networks[name].spec,
            "data": data,
            "accuracy": scan.accuracy,
            "cut": cut,
            "elements": known[cut].elements,
            "radius_sq": known[cut].radius_sq,
            "within_share_standardised": known[cut].within_share_standardised,
            **attack_cells(best_at(results, step, cut)),
        }
        for cut in scale.networks[name].candidates
    )


def between(scale: Scale, name: str, results: Results, below: str, above: str) -> Figure | None:
    """MSE at one cut over that at another."""
    step = attacked(scale, name)
    return ratio(best_at(results, step, above), best_at(results, step, below))


def jumps(network: Network, results: Results, step: Attacked, measure: Measure) -> tuple[Figure, ...] | None:
    """The MSE against that of the candidate before, for every candidate but the first; None where one is missing."""
    found = [best_at(results, step, cut) for cut in network.candidates]
    steps = [measure(after, before) for before, after in pairwise(found)]
    return tuple(one for one in steps if one is not None) if None not in steps else None


def attacked_zone(network: Network, record: AttackRecord) -> Zone:
    """The zone among the candidates as attacks find it: from where on half of the first one's lead is gone."""
    worst = {one.cut: one for one in record.worst}
    found = [worst.get(cut) for cut in network.candidates]
    return post_hoc_zone(
        [one.recovered if one is not None else None for one in found],
        record.baselines.class_mean.recovered if record.baselines.class_mean is not None else None,
        [one is not None and one.converged for one in found],
        network.candidates,
    )


def _shallow_ratio(scale: Scale, name: str, results: Results) -> ClaimRecord:
    network = scale.networks[name]
    figure = between(scale, name, results, network.shallow, network.decision)
    subject = f"{network.spec}, {network.shallow} and {network.decision}"
    return judge("shallow-ratio", subject, figure, difference=differ(scale, name))


def _fidelity(scale: Scale, results: Results) -> ClaimRecord:
    network = scale.networks["ir152"]
    found = best_at(results, attacked(scale, "ir152"), network.last_feature)
    channels = found.mse_channel_sum / found.mse if found is not None and found.mse else 1.0
    figure = found and Figure(
        found.mse_channel_sum, channels * (found.mse_low or found.mse), channels * (found.mse_high or found.mse)
    )
    subject = f"{network.spec}, {network.last_feature}"
    return judge("high-fidelity", subject, figure or None, difference=differ(scale, "ir152"))


def _jump(id: str, measure: Measure, scale: Scale, results: Results) -> ClaimRecord:
    """The jump at the transition over the largest other one."""
    network = scale.networks["ir152"]
    found = jumps(network, results, attacked(scale, "ir152"), measure)
    figure, place = None, network.candidates.index(network.last_feature)
    if found is not None:
        others = [one for turn, one in enumerate(found) if turn != place]
        here = found[place]
        figure = Figure(
            _over(here.value, max(one.value for one in others)),
            _over(here.low, max(one.high for one in others)),
            _over(here.high, max(one.low for one in others)),
        )
    subject = f"{network.spec}, from {network.last_feature} to {network.candidates[place + 1]}"
    return judge(id, subject, figure, difference=differ(scale, "ir152"))


def _over(here: float, other: float) -> float:
    """A quotient; beyond all bounds where there is no other jump."""
    return here / other if other > 0 else math.copysign(math.inf, here)


def _pair(id: str, scale: Scale, name: str, results: Results) -> ClaimRecord:
    network = scale.networks[name]
    figure = between(scale, name, results, network.feature, network.decision)
    subject = f"{network.spec}, {network.feature} and {network.decision}"
    return judge(id, subject, figure, difference=differ(scale, name))


def _tokens(scale: Scale, results: Results) -> ClaimRecord:
    """The least lead that is left where all tokens are kept; what attacks recover is a lower bound, so is this."""
    network, step = scale.networks["vit64"], attacked(scale, "vit64")
    found = [best_at(results, step, cut) for cut in network.tokens]
    record: AttackRecord | None = results.get(step)
    class_mean = record.baselines.class_mean if record is not None else None
    figure, doubt = None, ""
    known = [one for one in found if one is not None]
    if known and len(known) == len(found) and class_mean is not None:
        zero, first = class_mean.recovered, known[0].recovered
        left = [
            Figure(
                *((value - zero) / (first - zero) for value in (one.recovered, one.recovered_low, one.recovered_high))
            )
            for one in known
            if one.recovered_low is not None and one.recovered_high is not None
        ]
        figure = min(left, key=lambda one: one.value)
        if figure.high < 0.5 and not known[left.index(figure)].converged:
            doubt = "the attack had not converged where the least is left, and a better one may recover more"
    subject = f"{network.spec}, {network.tokens[0]} to {network.tokens[-1]}"
    return judge("vit-none", subject, figure, difference=differ(scale, "vit64"), doubt=doubt)
