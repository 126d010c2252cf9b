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
from goldcut.records.link import LinkRecord
from goldcut.records.manifest import (
    Answer,
    Certificate,
    Check,
    CodecRecord,
    EdgeAttackRecord,
    Equality,
    InferRecord,
    Manifest,
    Number,
    Preprocessing,
    VerifyRecord,
)
from goldcut.records.promise import GalleryOdds, PromiseRecord
from goldcut.records.recommend import Candidate, Limits, RecommendRecord
from goldcut.records.reproduce import ClaimRecord, ReproduceRecord, StepRecord, Verdict
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
    "Answer",
    "AttackRecord",
    "AttackResult",
    "Baselines",
    "Candidate",
    "Certificate",
    "ChallengeRecord",
    "Check",
    "ClaimRecord",
    "CodecRecord",
    "Cut",
    "CutProfile",
    "CutRadius",
    "CutsRecord",
    "DataRecord",
    "EdgeAttackRecord",
    "EpochRow",
    "Equality",
    "Failure",
    "GalleryOdds",
    "InferRecord",
    "Inferred",
    "InformationBound",
    "Kind",
    "Knowledge",
    "Level",
    "Limits",
    "LinkRecord",
    "Manifest",
    "ModelRecord",
    "Number",
    "Preprocessing",
    "PricedCut",
    "PromiseRecord",
    "Provenance",
    "RecommendRecord",
    "Refused",
    "ReproduceRecord",
    "SampleCounts",
    "ScanRecord",
    "ScoreRecord",
    "Scores",
    "SplitRow",
    "StepRecord",
    "SweepPoint",
    "TrainRecord",
    "Verdict",
    "VerifyRecord",
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
