"""The public face: what is exported, and that looking at it costs nothing."""

import subprocess
import sys

import goldcut


def test_every_exported_name_exists():
    for name in goldcut.__all__:
        assert getattr(goldcut, name) is not None


def test_an_unknown_name_is_an_attribute_error():
    assert not hasattr(goldcut, "no_such_name")


def test_importing_the_package_and_its_help_does_not_import_torch():
    code = (
        "import sys, goldcut, goldcut.cli\n"
        "from click.testing import CliRunner\n"
        "assert CliRunner().invoke(goldcut.cli.commands, ['--help']).exit_code == 0\n"
        "assert 'torch' not in sys.modules, 'torch was imported'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
