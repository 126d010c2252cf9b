import sys
from pathlib import Path

import pytest

from goldcut.errors import DataError, ModelError
from goldcut.sources.factory import build_from_file, first_line, is_file_spec, suggest


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "neighbour.py").write_text("ANSWER = 42\n")
    path = tmp_path / "mine.py"
    path.write_text(
        "from dataclasses import dataclass\n"
        "from neighbour import ANSWER\n"
        "import functools\n"
        "print('importing')\n"
        "@dataclass\n"
        "class Thing:\n"
        "    size: int = 3\n"
        "def answer():\n"
        "    print('calling')\n"
        "    return ANSWER\n"
        "def sized(size=1, **rest):\n"
        "    return size, rest\n"
        "def fails():\n"
        "    raise ValueError('no luck\\nat all')\n"
        "later = functools.partial(sized, size=9)\n"
        "text = 'plain'\n"
    )
    return path


def test_function_class_partial_and_value(file: Path) -> None:
    assert build_from_file(f"{file}:answer", int, ModelError) == 42
    assert build_from_file(f"{file}:Thing", int, ModelError).size == 3
    assert build_from_file(f"{file}:Thing", int, ModelError, size=5).size == 5
    assert build_from_file(f"{file}:later", int, ModelError) == (9, {})
    assert build_from_file(f"{file}:text", int, ModelError) == "plain"


def test_offers_are_made_to_those_who_take_them(file: Path) -> None:
    assert build_from_file(f"{file}:answer", int, ModelError, size=5) == 42
    assert build_from_file(f"{file}:sized", int, ModelError, size=5, other=6) == (5, {"other": 6})


def test_path_and_stdout_stay_as_they_were(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = list(sys.path)
    build_from_file(f"{file}:answer", int, ModelError)
    captured = capsys.readouterr()
    assert sys.path == before
    assert captured.out == ""
    assert captured.err == "importing\ncalling\n"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("anser", "Did you mean answer or later?"),
        ("fails", "failed while calling it: ValueError: no luck."),
    ],
)
def test_what_is_wrong_is_said_on_one_line(file: Path, name: str, words: str) -> None:
    with pytest.raises(DataError) as caught:
        build_from_file(f"{file}:{name}", int, DataError)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_and_broken_files(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="does not exist"):
        build_from_file(f"{tmp_path}/none.py:f", int, ModelError)
    (tmp_path / "broken.py").write_text("def f(:\n")
    with pytest.raises(ModelError, match="failed while importing it: SyntaxError"):
        build_from_file(f"{tmp_path}/broken.py:f", int, ModelError)
    assert "goldcut_user_broken" not in sys.modules
    with pytest.raises(ModelError, match="does not name an object of a file"):
        build_from_file("broken.py", int, ModelError)


def test_file_specs() -> None:
    assert is_file_spec("a/b.py:f")
    assert is_file_spec(r"C:\nets\b.py:f")
    assert not is_file_spec("a/b.py")
    assert not is_file_spec("torchvision:resnet18")


def test_suggestions() -> None:
    assert suggest("resnet81", ["resnet18", "vgg11"]) == "Did you mean resnet18?"
    assert suggest("zzz", map(str, range(20))).endswith(" and 12 more.")
    assert suggest("zzz", []) == ""
    assert first_line(ValueError()) == "ValueError"
