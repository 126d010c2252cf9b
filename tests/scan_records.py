"""Two scans of the same images, number by number."""

import json

import pytest


def assert_same_record(one, other):
    """The same words and whole numbers, and the other numbers to 1e-12, but for when and by what it was made."""
    mine, theirs = (_leaves(json.loads((folder / "scan.json").read_bytes())) for folder in (one, other))
    assert mine.keys() == theirs.keys()
    for path, value in mine.items():
        expected = pytest.approx(theirs[path], rel=1e-12, abs=0) if isinstance(value, float) else theirs[path]
        assert path.startswith(".provenance.") or value == expected, path


def _leaves(value, at=""):
    """The leaves of a nested value by their path."""
    if isinstance(value, dict):
        return {path: leaf for key in value for path, leaf in _leaves(value[key], f"{at}.{key}").items()}
    if isinstance(value, list):
        return {path: leaf for key, each in enumerate(value) for path, leaf in _leaves(each, f"{at}.{key}").items()}
    return {at: value}
