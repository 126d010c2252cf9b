"""What can go wrong, said once.

GoldcutError            every error that goldcut raises on purpose; the command line catches it and exits 1
├── ModelError          the model cannot be loaded, traced or trusted (missing keys, NaN weights, no cut)
├── DataError           the images or labels cannot be used (sizes, ranges, classes, corrupt files)
├── RunError            the run folder cannot be used (unwritable, another model, another schema version)
├── BudgetError         the work does not fit the memory it was given
├── AttackError         an attack could not be carried out (too few images, diverged)
├── TrainingError       a training cannot be carried out (targets that a loss cannot take, diverged)
├── DeployError         the exported halves cannot be made, verified, served or reached
├── WireError           a message is no Z of this cut (name, type, size, values)
├── SweepError          the file or the folder of a sweep cannot be used (unknown keys, not shared)
├── ClusterError        no Ray cluster can be joined or started (no answer, another token)
└── MissingExtra        an optional dependency is not installed
"""


class GoldcutError(Exception):
    """One problem and its cure, in one line.

    Args:
        problem: What was expected and what came.
        cure: What the user can do about it.
    """

    def __init__(self, problem: str, cure: str = "") -> None:
        self.problem = problem
        self.cure = cure
        super().__init__(f"{problem.rstrip('.')}. {cure}".strip() if cure else problem)


class ModelError(GoldcutError):
    """The model cannot be loaded, traced or trusted."""


class DataError(GoldcutError):
    """The images or labels cannot be used."""


class RunError(GoldcutError):
    """The run folder cannot be used."""


class BudgetError(GoldcutError):
    """The work does not fit the memory it was given."""


class AttackError(GoldcutError):
    """An attack could not be carried out."""


class TrainingError(GoldcutError):
    """A training was asked for what cannot be, or diverged."""


class DeployError(GoldcutError):
    """The exported halves cannot be made, verified, served or reached."""


class WireError(GoldcutError):
    """A message is no Z of this cut."""


class SweepError(GoldcutError):
    """The file or the folder of a sweep cannot be used."""


class ClusterError(GoldcutError):
    """No Ray cluster can be joined, or started here."""


class MissingExtra(GoldcutError):
    """An optional dependency is not installed.

    Args:
        package: The package that could not be imported.
        extra: The extra of goldcut that brings it.
    """

    def __init__(self, package: str, extra: str) -> None:
        super().__init__(f"{package} is not installed", f"pip install 'goldcut[{extra}]' brings it.")
