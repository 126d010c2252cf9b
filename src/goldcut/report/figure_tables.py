"""Every figure of a run, for who wants them all: the information bounds, and each attack at each cut."""

from dataclasses import dataclass

from goldcut.records import AttackRecord, AttackResult, ScanRecord
from goldcut.report.quantities import interval, known, number, percent, seconds


@dataclass(frozen=True)
class BoundRow:
    """The information bounds of a cut at one noise level, in nats."""

    cut: str
    rho: str
    sigma: str
    whole: str
    by_class: str
    conditional: str
    gap: str


def bound_rows(scan: ScanRecord) -> tuple[BoundRow, ...]:
    """Every information bound, in the order of the network."""
    return tuple(
        BoundRow(
            cut.name,
            f"{bound.rho:g}",
            number(bound.sigma),
            number(bound.global_nats),
            number(bound.class_nats),
            number(bound.conditional_nats),
            percent(bound.relative_gap),
        )
        for cut in scan.cuts
        for bound in cut.information
    )


@dataclass(frozen=True)
class ResultRow:
    """One attack at one cut."""

    cut: str
    attack: str
    cells: tuple[str, ...]
    note: str


RESULT_COLUMNS = (
    "recovered",
    "beyond label",
    "identified",
    "MSE",
    "MSE, channel sum",
    "PSNR, dB",
    "SSIM",
    "converged",
    "time",
)


def result_rows(attack: AttackRecord) -> tuple[ResultRow, ...]:
    """Every attack that ran, for who wants all figures."""
    return tuple(
        ResultRow(
            r.cut,
            r.attack,
            (
                f"{percent(r.recovered)} {interval(r.recovered_low, r.recovered_high)}",
                percent(r.beyond_label),
                percent(r.identification),
                number(r.mse),
                number(r.mse_channel_sum),
                number(r.psnr),
                number(r.ssim),
                "yes" if r.converged else "no",
                seconds(r.seconds),
            ),
            _result_note(r),
        )
        for r in attack.results
    )


def _result_note(result: AttackResult) -> str:
    notes = [result.note]
    if result.transform != "none":
        notes.append(f"Z is transformed by {result.transform}")
    if known(result.recovered_full_size):
        notes.append(f"{percent(result.recovered_full_size)} recovered at full size")
    if known(result.agreement):
        notes.append(f"an independent classifier agrees in {percent(result.agreement)}")
    if known(result.identity_cosine):
        notes.append(f"identity cosine {number(result.identity_cosine)}")
    if known(result.lpips):
        notes.append(f"LPIPS {number(result.lpips)}")
    if known(result.recovered_own_mean):
        notes.append(f"{percent(result.recovered_own_mean)} against the victims' own mean")
    return "; ".join(filter(None, notes))
