"""What the flags accept, and how they refuse the rest."""

import click
import pytest
from click.testing import CliRunner

from goldcut.cli.options import Finite, Memory, Numbers, Shape, attack_options, bundle


@pytest.mark.parametrize("text", ["3,64,48", "3x64x48", " 3,64,48 "])
def test_a_shape(text):
    assert Shape().convert(text, None, None) == (3, 64, 48)


@pytest.mark.parametrize(("text", "bytes_"), [("4G", 4 * 2**30), ("512M", 512 * 2**20), ("1.5k", 1536), ("100", 100)])
def test_an_amount_of_memory(text, bytes_):
    assert Memory().convert(text, None, None) == bytes_


def test_numbers():
    assert Numbers().convert("0.5,0.25", None, None) == (0.5, 0.25)


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        (Shape(), "3,64"),
        (Shape(), "0,8,8"),
        (Memory(), "much"),
        (Memory(), "0G"),
        (Numbers(), "a,b"),
        (Numbers(), "1,nan"),
    ],
)
def test_what_is_none_is_refused_with_an_example(kind, text):
    with pytest.raises(click.BadParameter, match="such as"):
        kind.convert(text, None, None)


@pytest.mark.parametrize("text", ["nan", "inf", "-inf", "-1", "two"])
def test_a_number_that_compares_with_nothing_is_refused(text):
    with pytest.raises(click.BadParameter):
        Finite(min=0).convert(text, None, None)
    assert Finite(min=0).convert("5e8", None, None) == 5e8


def test_a_bundle_reaches_the_command_as_one_argument():
    @click.command()
    @bundle("flags", one=click.option("--one", type=int, default=1), two=click.option("--two", is_flag=True))
    @click.argument("name")
    def command(name, flags):
        click.echo(f"{name} {flags}")

    answer = CliRunner().invoke(command, ["it", "--two"])
    assert answer.output == "it {'one': 1, 'two': True}\n"


def test_the_attack_flags_are_what_an_attack_takes():
    from inspect import signature

    from goldcut.study.attack import attack

    @click.command()
    @attack_options
    def command(attack_flags):
        assert set(attack_flags) <= set(signature(attack).parameters)

    assert CliRunner().invoke(command, []).exit_code == 0
