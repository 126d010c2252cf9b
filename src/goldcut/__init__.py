"""Choose where to split a vision model between a device and a cloud.

The public names below are loaded when they are first used, so that `import goldcut` does not import torch.
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from goldcut.attacks.base import Attack as Attack
    from goldcut.attacks.base import Inverse as Inverse
    from goldcut.attacks.base import View as View
    from goldcut.cuts.graph import CutGraph as CutGraph
    from goldcut.cuts.graph import find_cuts as find_cuts
    from goldcut.cuts.split import Split as Split
    from goldcut.cuts.split import split_at as split_at
    from goldcut.cuts.split import verify_split as verify_split
    from goldcut.deploy.client import EdgeClient as EdgeClient
    from goldcut.deploy.export import export as export
    from goldcut.deploy.verify import verify as verify
    from goldcut.errors import GoldcutError as GoldcutError
    from goldcut.records import AttackRecord as AttackRecord
    from goldcut.records import Cut as Cut
    from goldcut.records import ScanRecord as ScanRecord
    from goldcut.records import Zone as Zone
    from goldcut.records import json_schema as json_schema
    from goldcut.report.compare import compare_runs as compare_runs
    from goldcut.report.page import write_report as write_report
    from goldcut.report.verdict import reach_verdict as reach_verdict
    from goldcut.sources.images import Images as Images
    from goldcut.sources.images import from_arrays as from_arrays
    from goldcut.sources.images import load_images as load_images
    from goldcut.sources.models import Target as Target
    from goldcut.sources.models import adopt_model as adopt_model
    from goldcut.sources.models import load_model as load_model
    from goldcut.study.attack import attack as attack
    from goldcut.study.examine import Study as Study
    from goldcut.study.examine import examine as examine
    from goldcut.study.scan import scan as scan

__version__ = "0.1.0"

_HOME = {
    "Attack": "goldcut.attacks.base",
    "AttackRecord": "goldcut.records",
    "Cut": "goldcut.records",
    "CutGraph": "goldcut.cuts.graph",
    "EdgeClient": "goldcut.deploy.client",
    "GoldcutError": "goldcut.errors",
    "Images": "goldcut.sources.images",
    "Inverse": "goldcut.attacks.base",
    "ScanRecord": "goldcut.records",
    "Split": "goldcut.cuts.split",
    "Study": "goldcut.study.examine",
    "Target": "goldcut.sources.models",
    "View": "goldcut.attacks.base",
    "Zone": "goldcut.records",
    "adopt_model": "goldcut.sources.models",
    "attack": "goldcut.study.attack",
    "compare_runs": "goldcut.report.compare",
    "examine": "goldcut.study.examine",
    "export": "goldcut.deploy.export",
    "find_cuts": "goldcut.cuts.graph",
    "from_arrays": "goldcut.sources.images",
    "json_schema": "goldcut.records",
    "load_images": "goldcut.sources.images",
    "load_model": "goldcut.sources.models",
    "reach_verdict": "goldcut.report.verdict",
    "scan": "goldcut.study.scan",
    "split_at": "goldcut.cuts.split",
    "verify": "goldcut.deploy.verify",
    "verify_split": "goldcut.cuts.split",
    "write_report": "goldcut.report.page",
}

__all__ = ["__version__", *sorted(_HOME)]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'goldcut' has no attribute {name!r}")
    return getattr(importlib.import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted(__all__)
