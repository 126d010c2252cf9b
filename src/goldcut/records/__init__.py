"""Results as frozen plain values, and their versioned JSON in a run folder.

The field names are a contract: fields are added, never renamed. The schema tag of a file is
"goldcut.<kind>/<version>"; a file of another version is refused, never guessed at.
"""

from goldcut.records.attack import (
    KNOWLEDGE,
    AttackRecord,
    AttackResult,
    Baselines,
    Failure,
    Inferred,
    Knowledge,
    Scores,
    SweepPoint,
    ViewRecord,
    Worst,
    unsettled,
)
from goldcut.records.challenge import ChallengeRecord, ScoreRecord
from goldcut.records.cuts import (
    LEVELS,
    Cut,
    CutsRecord,
    Kind,
    Level,
    ModelRecord,
    PricedCut,
    Refused,
)
from goldcut.records.files import (
    SCHEMAS,
    json_schema,
    load,
    save,
    to_json,
    write_atomically,
)
from goldcut.records.promise import GalleryOdds, PromiseRecord
from goldcut.records.scan import (
    CutProfile,
    DataRecord,
    InformationBound,
    Provenance,
    SampleCounts,
    ScanRecord,
    Zone,
)
from goldcut.records.train import CutRadius, EpochRow, SplitRow, TrainRecord

__all__ = [
    "KNOWLEDGE",
    "LEVELS",
    "SCHEMAS",
    "AttackRecord",
    "AttackResult",
    "Baselines",
    "ChallengeRecord",
    "Cut",
    "CutProfile",
    "CutRadius",
    "CutsRecord",
    "DataRecord",
    "EpochRow",
    "Failure",
    "GalleryOdds",
    "Inferred",
    "InformationBound",
    "Kind",
    "Knowledge",
    "Level",
    "ModelRecord",
    "PricedCut",
    "PromiseRecord",
    "Provenance",
    "Refused",
    "SampleCounts",
    "ScanRecord",
    "ScoreRecord",
    "Scores",
    "SplitRow",
    "SweepPoint",
    "TrainRecord",
    "ViewRecord",
    "Worst",
    "Zone",
    "json_schema",
    "load",
    "save",
    "to_json",
    "unsettled",
    "write_atomically",
]
