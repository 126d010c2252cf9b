"""Which cuts no other cut beats."""

from hypothesis import given
from hypothesis import strategies as st

import report_samples as samples
from goldcut.report.pareto import optimal_cuts, pareto

POINTS = st.lists(st.tuples(*[st.integers(0, 5)] * 3), max_size=25)


@given(POINTS)
def test_every_beaten_point_is_beaten_by_a_kept_one_and_no_kept_one_is(points: list[tuple[int, ...]]) -> None:
    marks = pareto(points)
    kept = [point for point, mark in zip(points, marks, strict=True) if mark]
    for point, mark in zip(points, marks, strict=True):
        rivals = [
            other for other in kept if other != point and max(a - b for a, b in zip(other, point, strict=True)) <= 0
        ]
        assert bool(rivals) is not mark


@given(POINTS, st.randoms())
def test_the_order_of_the_points_does_not_matter(points: list[tuple[int, ...]], random: object) -> None:
    marked = set(zip(points, pareto(points), strict=True))
    shuffled = sorted(points, key=hash)
    assert set(zip(shuffled, pareto(shuffled), strict=True)) == marked


def test_the_output_is_never_optimal_and_nothing_is_without_an_attack() -> None:
    scan, attack = samples.resnet_scan(), samples.resnet_attack()
    assert optimal_cuts(scan, attack) == {cut.name for cut in scan.cuts[:-1]}
    assert optimal_cuts(scan, None) == frozenset()
