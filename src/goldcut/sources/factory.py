"""Objects of a user's own file, named as "path/file.py:name"."""

import contextlib
import difflib
import importlib.util
import inspect
import re
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from goldcut.errors import GoldcutError

_FILE = re.compile(r"(?P<path>.+\.py):(?P<name>\w+)")


def is_file_spec(spec: str) -> bool:
    """Whether the spec names an object of a Python file.

    Example:
        >>> is_file_spec("nets/mine.py:build"), is_file_spec("torchvision:resnet18")
        (True, False)
    """
    return _FILE.fullmatch(spec) is not None


def build_from_file(spec: str, product: type, error: type[GoldcutError], **offered: Any) -> Any:
    """The object that the file names, or what it returns when it is a function or class.

    What the file prints goes to stderr, so that `--json` stays readable; its folder is importable meanwhile.

    Args:
        spec: "path/file.py:name".
        product: An instance of this type is taken as it is, even if it can be called.
        error: What to raise: ModelError or DataError.
        offered: Keyword arguments that the object gets if its signature takes them.

    Raises:
        GoldcutError: As `error`, when the file or name is missing, or the user's code raises.
    """
    match = _FILE.fullmatch(spec)
    if match is None:
        raise error(f"{spec!r} does not name an object of a file", 'Write it as "path/file.py:factory".')
    path, name = Path(match["path"]), match["name"]
    if not path.is_file():
        raise error(f"{path} does not exist", "Check the path; it is relative to the current folder.")
    with _at_home(path):
        module = _run(spec, error, "importing it", lambda: _import(path))
        if not hasattr(module, name):
            known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
            raise error(f"{path} has no {name!r}", suggest(name, known))
        found = getattr(module, name)
        if isinstance(found, product) or not callable(found):
            return found
        accepted = {key: value for key, value in offered.items() if _takes(found, key)}
        return _run(spec, error, "calling it", lambda: found(**accepted))


def suggest(name: str, known: Iterable[str]) -> str:
    """A cure for an unknown name: the near matches, else a few that exist.

    Example:
        >>> suggest("resnet8", ["resnet18", "vgg11"])
        'Did you mean resnet18?'
    """
    known = sorted(known)
    near = difflib.get_close_matches(name, known, n=3, cutoff=0.6)
    if near:
        return f"Did you mean {' or '.join(near)}?"
    rest = f" and {len(known) - 8} more" if len(known) > 8 else ""
    return f"There are {', '.join(known[:8])}{rest}." if known else ""


def first_line(error: BaseException) -> str:
    """What an exception of somebody else's code says, on one line."""
    text = str(error).strip()
    return f"{type(error).__name__}: {text.splitlines()[0]}" if text else type(error).__name__


@contextlib.contextmanager
def _at_home(path: Path) -> Iterator[None]:
    folder = str(path.resolve().parent)
    sys.path.insert(0, folder)
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(folder)


def _import(path: Path) -> Any:
    name = f"goldcut_user_{path.stem}"
    specification = importlib.util.spec_from_file_location(name, path)
    if specification is None or specification.loader is None:
        raise ImportError(f"{path} is no Python source")
    module = importlib.util.module_from_spec(specification)
    sys.modules[name] = module  # dataclasses and pickling look their module up
    try:
        specification.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _run(spec: str, error: type[GoldcutError], doing: str, action: Any) -> Any:
    try:
        return action()
    except GoldcutError:
        raise
    except (Exception, SystemExit) as cause:  # a file that ends the process would look like success
        raise error(f"{spec} failed while {doing}: {first_line(cause)}", "Correct the file and try again.") from cause


def _takes(function: Any, keyword: str) -> bool:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return False
    return keyword in parameters or any(p.kind is p.VAR_KEYWORD for p in parameters.values())
