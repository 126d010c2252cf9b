"""The fuzzer fails where a decoder does, and reaches what lies behind the parsers."""

import benchmarks.fuzz
import pytest
from benchmarks.fuzz import fuzz

from goldcut.wire.codec import Codec


def test_it_reaches_parsers_and_decoders():
    outcomes = fuzz(1.0, seed=0)
    assert min(outcomes[one] for one in ("answered", "refused by the decoders", "refused by the parser")) > 0


def test_a_decoder_that_lets_nan_through_is_found(monkeypatch, capsys):
    checked = Codec.decode

    def careless(self, tensors, most_rows):
        z = checked(self, tensors, most_rows)
        return z if z.flat[0] == first else z * float("nan")

    first = benchmarks.fuzz.Z.flat[0]
    monkeypatch.setattr(Codec, "decode", careless)
    monkeypatch.setattr(benchmarks.fuzz, "CODECS", [one for one in benchmarks.fuzz.CODECS if one.name == "fp32"])
    with pytest.raises(AssertionError):
        fuzz(5.0, seed=0)
    assert '"target"' in capsys.readouterr().out
