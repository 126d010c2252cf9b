"""Table (c): positive smoothing, one-hot and negative smoothing: accuracy, R_c^2, and the attack's answer."""

from collections.abc import Callable
from itertools import product

from goldcut.records import ClaimRecord, ScanRecord, TrainRecord
from goldcut.reproduce.judge import Figure, judge, paired_difference, paired_ratio
from goldcut.reproduce.scale import Scale
from goldcut.reproduce.steps import Attacked, Scan, Step, Training
from goldcut.reproduce.table import Answer, Results, Row, attack_cells, best_at, differ, with_needs

POSITIVE, PLAIN, NEGATIVE = AGAINST = ("smooth:0.3", "one-hot", "smooth:-0.05")
"""The paper's label distributions."""

Measure = Callable[[Training], float | None]
"""A quantity of one training; None where it has not been measured."""


def plan(scale: Scale) -> tuple[Step, ...]:
    """Network by network, the two that are compared most first: an interrupted table holds whole comparisons."""
    seeds = range(scale.seeds)
    steps = []
    for name in scale.labelled:
        steps += [Training(name, targets=targets, seed=seed) for seed, targets in product(seeds, (PLAIN, POSITIVE))]
        steps += [Training(name, targets=NEGATIVE, seed=seed) for seed in seeds]
    return with_needs(*(attacked(scale, training) for training in steps))


def attacked(scale: Scale, training: Training) -> Attacked:
    """The attack on the deep cuts of a training."""
    return Attacked(training, scale.networks[training.network].deep)


def answer(scale: Scale, results: Results) -> Answer:
    """A row for each training and cut; the claims for each network, and cut where it matters."""
    rows = tuple(
        row
        for name, targets, seed in product(scale.labelled, AGAINST, range(scale.seeds))
        for row in _rows(scale, Training(name, targets=targets, seed=seed), results)
    )
    claims = tuple(claim for name in scale.labelled for claim in _claims(scale, name, results))
    return Answer(rows, claims)


def _rows(scale: Scale, training: Training, results: Results) -> tuple[Row, ...]:
    scan: ScanRecord | None = results.get(Scan(training))
    record: TrainRecord | None = results.get(training)
    if scan is None or record is None:
        return ()
    rows = {alias: row for row in scan.cuts for alias in (row.name, *row.aliases)}
    names = ("radius_sq", "radius_sq_per_element", "within_share", "within_share_standardised", "total_variance")
    return tuple(
        {
            "network": record.model.spec,
            "targets": training.targets,
            "seed": training.seed,
            "accuracy": scan.accuracy,
            "output_entropy": _entropy(record),
            "cut": cut,
            **{name: getattr(rows[cut], name) for name in names},
            **attack_cells(best_at(results, attacked(scale, training), cut)),
        }
        for cut in scale.networks[training.network].deep
    )


def _claims(scale: Scale, name: str, results: Results) -> tuple[ClaimRecord, ...]:
    spec, difference = scale.networks[name].spec, differ(scale, name)

    def over(above: str, below: str, measure: Measure, mean: Callable[..., Figure | None]) -> tuple[Figure | None, str]:
        pairs = [
            (measure(Training(name, targets=above, seed=seed)), measure(Training(name, targets=below, seed=seed)))
            for seed in range(scale.seeds)
        ]
        whole = [(a, b) for a, b in pairs if a is not None and b is not None]
        return mean([a for a, _ in whole], [b for _, b in whole]), f"{len(whole)} of {scale.seeds} seeds"

    def claim(id: str, subject: str, found: tuple[Figure | None, str]) -> ClaimRecord:
        return judge(id, f"{subject}, {found[1]}", found[0], difference=difference)

    def statistic(cut: str, field: str) -> Measure:
        return lambda training: _statistic(results.get(Scan(training)), cut, field)

    def error(cut: str) -> Measure:
        return lambda training: _error(results, attacked(scale, training), cut)

    claims = []
    for cut in scale.networks[name].deep:
        at = f"{spec}, {cut}"
        radius, within = statistic(cut, "radius_sq"), statistic(cut, "within_share_standardised")
        claims += [
            claim("smoothing-contracts", at, over(POSITIVE, PLAIN, radius, paired_ratio)),
            claim("more-than-scale", at, over(POSITIVE, PLAIN, within, paired_ratio)),
            claim("negative-expands", at, over(NEGATIVE, POSITIVE, radius, paired_ratio)),
            claim("smoothing-resists", at, over(POSITIVE, PLAIN, error(cut), paired_ratio)),
        ]
    entropy: Measure = lambda training: _entropy(results.get(training))  # noqa: E731 - one of a family
    claims.append(claim("output-entropy", spec, over(POSITIVE, PLAIN, entropy, paired_difference)))
    return tuple(claims)


def _statistic(scan: ScanRecord | None, cut: str, field: str) -> float | None:
    rows = scan.cuts if scan is not None else ()
    return next((getattr(row, field) for row in rows if cut in (row.name, *row.aliases)), None)


def _error(results: Results, step: Attacked, cut: str) -> float | None:
    found = best_at(results, step, cut)
    return found.mse if found is not None else None


def _entropy(record: TrainRecord | None) -> float | None:
    """Of the output at the selected epoch, on the selection images, in nats."""
    if record is None:
        return None
    return next((row.entropy for row in record.history if row.epoch == record.selected), None)
