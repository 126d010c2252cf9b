"""The table of the cuts as plain values: text for people, and a key to sort by."""

from collections.abc import Sequence
from dataclasses import dataclass

from goldcut.cost.link import Link, transfer_seconds
from goldcut.records import AttackRecord, AttackResult, CutProfile, ScanRecord, Worst
from goldcut.report.figures import Band, edge_flops, edge_params
from goldcut.report.pareto import optimal_cuts
from goldcut.report.quantities import (
    MISSING,
    count,
    dimensions,
    interval,
    listing,
    number,
    percent,
    seconds,
    size,
)


@dataclass(frozen=True)
class Column:
    """A column: its title, what it means, and its unit where the cells do not carry it."""

    title: str
    meaning: str


@dataclass(frozen=True)
class Cell:
    """What is read, what is sorted by (None sorts last), and a second line in small."""

    text: str
    order: float | None
    detail: str = ""


@dataclass(frozen=True)
class Row:
    """A cut in the big table.

    Attributes:
        name: The cut.
        aliases: Other names of it, for the second line.
        place: Its number, from 1 on.
        zones: The zones that hold it.
        recommended: Whether the scan recommends it.
        optimal: Whether no other attacked cut beats it in recovered, edge FLOPs and payload at once.
        cells: One for each column.
    """

    name: str
    aliases: str
    place: int
    zones: tuple[Band, ...]
    recommended: bool
    optimal: bool
    cells: tuple[Cell, ...]


def cut_columns(links: Sequence[Link], attacked: bool, measured: bool = False) -> tuple[Column, ...]:
    """The columns of the table of cuts, behind the name."""
    times = [
        Column(
            f"time, {link.name}",
            f"payload / {link.megabit_per_s:g} Mbit/s + {link.round_trip_ms:g} ms round trip, assumed",
        )
        for link in links
    ]
    clocks = (
        Column("time, device", "wall clock of the edge half for one image, measured on the machine of the scan"),
        Column("time, cloud", "the same of the cloud half"),
        Column("peak, device", "most bytes of activations alive at once in the edge half"),
    )
    attacks = (
        Column("recovered", "share of the pixel variance that the strongest attack recovers, with 95 % limits"),
        Column("identified", "share picked out among 20 images of the same predicted class; chance 5 %"),
    )
    quality = (
        Column("SSIM", "structural similarity of the strongest attack's reconstructions; 1 is equal"),
        Column("PSNR, dB", "10 log10(1 / MSE) of the strongest attack"),
    )
    return (
        *(attacks if attacked else ()),
        Column("FLOPs, device", "FLOPs of one image before the cut (2 × multiply-accumulate)"),
        Column("params, device", "parameters before the cut"),
        Column("payload", "bytes of Z as fp32"),
        Column("image", "image_dependence: distance correlation of Z with the image"),
        Column("within", "within_share: within-class scatter / total scatter"),
        Column("within, std.", "within_share_standardised: the same after dividing each channel by its deviation"),
        Column("R²", "radius_sq: mean over classes of the mean squared distance to the class mean"),
        Column("R² / D", "radius_sq per element of Z"),
        Column("eff. rank", "effective rank of Z"),
        Column("shape of Z", "channels × height × width, tokens × width, or length; sorted by elements"),
        *(quality if attacked else ()),
        *(clocks if measured else ()),
        *times,
    )


def cut_rows(
    scan: ScanRecord, attack: AttackRecord | None, shown: Sequence[Band], links: Sequence[Link]
) -> tuple[Row, ...]:
    """The rows of the table of cuts, in the order of the network."""
    worst = {worst.cut: worst for worst in attack.worst} if attack else {}
    results = {(result.cut, result.attack): result for result in attack.results} if attack else {}
    best = optimal_cuts(scan, attack)
    measured = is_measured(scan)
    rows = []
    for place, cut in enumerate(scan.cuts, 1):
        strongest = worst.get(cut.name)
        result = results.get((cut.name, strongest.attack)) if strongest else None
        leak, quality = (_leak_cells(strongest, result), _quality_cells(result)) if worst else ((), ())
        times = [Cell(seconds(time := transfer_seconds(cut.payload_bytes, link)), time) for link in links]
        rows.append(
            Row(
                name=cut.name,
                aliases=listing(cut.aliases, 2),
                place=place,
                zones=tuple(band for band in shown if cut.name in band.zone.cuts),
                recommended=cut.name == scan.recommended,
                optimal=cut.name in best,
                cells=(
                    *leak,
                    *_price_cells(cut),
                    *_statistic_cells(cut),
                    *quality,
                    *(_clock_cells(cut) if measured else ()),
                    *times,
                ),
            )
        )
    return tuple(rows)


def is_measured(scan: ScanRecord) -> bool:
    """Whether the halves were timed."""
    return any(cut.edge_seconds is not None for cut in scan.cuts)


def _clock_cells(cut: CutProfile) -> tuple[Cell, ...]:
    return (
        Cell(seconds(cut.edge_seconds), cut.edge_seconds),
        Cell(seconds(cut.cloud_seconds), cut.cloud_seconds),
        Cell(size(cut.edge_peak_bytes), cut.edge_peak_bytes),
    )


def _leak_cells(worst: Worst | None, result: AttackResult | None) -> tuple[Cell, Cell]:
    if worst is None:
        return Cell("not attacked", None), Cell(MISSING, None)
    detail = f"{interval(worst.recovered_low, worst.recovered_high)} {worst.attack}".strip()
    recovered = Cell(
        percent(worst.recovered), worst.recovered, detail + ("" if worst.converged else ", still improving")
    )
    if result is None:
        return recovered, Cell(MISSING, None)
    limits = interval(result.identification_low, result.identification_high)
    return recovered, Cell(percent(result.identification), result.identification, limits)


def _quality_cells(result: AttackResult | None) -> tuple[Cell, Cell]:
    if result is None:
        return Cell(MISSING, None), Cell(MISSING, None)
    return Cell(number(result.ssim), result.ssim), Cell(number(result.psnr), result.psnr)


def _price_cells(cut: CutProfile) -> tuple[Cell, ...]:
    return (
        Cell(count(cut.edge_flops), cut.edge_flops, percent(edge_flops(cut))),
        Cell(count(cut.edge_params), cut.edge_params, percent(edge_params(cut))),
        Cell(size(cut.payload_bytes), cut.payload_bytes),
    )


def _statistic_cells(cut: CutProfile) -> tuple[Cell, ...]:
    standardised = interval(cut.within_share_standardised_low, cut.within_share_standardised_high)
    dependence = interval(cut.image_dependence_low, cut.image_dependence_high)
    return (
        Cell(percent(cut.image_dependence), cut.image_dependence, dependence),
        Cell(percent(cut.within_share), cut.within_share, interval(cut.within_share_low, cut.within_share_high)),
        Cell(percent(cut.within_share_standardised), cut.within_share_standardised, standardised),
        Cell(number(cut.radius_sq), cut.radius_sq),
        Cell(number(cut.radius_sq_per_element), cut.radius_sq_per_element),
        Cell(number(cut.effective_rank), cut.effective_rank),
        Cell(dimensions(cut.shape), cut.elements, f"{cut.elements:,} elements"),
    )
