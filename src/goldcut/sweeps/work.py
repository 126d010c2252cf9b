"""One trial, carried out by the same functions that the command line calls."""

from pathlib import Path

from goldcut.study.attack import attack
from goldcut.study.scan import MEMORY_BYTES, scan
from goldcut.sweeps.checks import open_trial
from goldcut.sweeps.table import Row, make_rows
from goldcut.sweeps.trials import Trial


def carry_out(trial: Trial, folder: Path, *, device: str = "cpu", memory: int = MEMORY_BYTES) -> list[Row]:
    """Scan and attack into a run folder and return the rows of the trial's table; goes on with what the folder holds.

    Raises:
        GoldcutError: Model, images, cuts or attacks cannot be used.
    """
    target, pack = open_trial(trial)
    scanned = scan(
        target,
        pack,
        out=folder,
        labels=trial.labels,
        level=trial.level,
        defense=trial.defense,
        device=device,
        memory=memory,
        seed=trial.seed,
    )
    attacked = attack(
        target,
        pack,
        out=folder,
        cuts=trial.cuts,
        attacks=trial.attacks,
        effort=trial.effort,
        knowledge=trial.knowledge,
        aux=trial.aux,
        victims=trial.victims,
        queries=(trial.queries,),
        device=device,
        memory=memory,
        seed=trial.seed,
    )
    return make_rows(trial, scanned, attacked)
