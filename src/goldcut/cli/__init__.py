"""The command line: one command a file, each a few lines over the public API.

Nothing heavy is imported until a command runs, so `goldcut --help` answers at once.
Exit codes: 0 good, 1 bad input or a failed run, 2 usage, 3 a gate that did not hold.
"""

import sys

import click

from goldcut import __version__
from goldcut.cli.attack import attack
from goldcut.cli.audit import audit
from goldcut.cli.challenge import challenge, score
from goldcut.cli.compare import compare
from goldcut.cli.cuts import cuts
from goldcut.cli.demo import demo
from goldcut.cli.export import export, verify
from goldcut.cli.link import link
from goldcut.cli.promise import promise
from goldcut.cli.recommend import recommend
from goldcut.cli.report import report
from goldcut.cli.reproduce import reproduce
from goldcut.cli.scan import scan
from goldcut.cli.serve import infer, serve
from goldcut.cli.sweep import sweep
from goldcut.cli.tradeoff import tradeoff
from goldcut.cli.train import train
from goldcut.cli.vortex import vortex
from goldcut.errors import GoldcutError


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(__version__, prog_name="goldcut")
def commands() -> None:
    """Choose where to split a vision model between a device and a cloud.

    goldcut finds every place where a PyTorch model can be cut, measures what crosses there, locates
    the Golden Partition Zone, attacks it, prices it, and writes one report to decide from.

    \b
    Start:   goldcut demo
    Cuts:    goldcut cuts torchvision:resnet18
    Audit:   goldcut audit model.py:build npz:images.npz --checkpoint net.safetensors --out runs/net
    """


for command in (
    cuts,
    scan,
    attack,
    report,
    audit,
    compare,
    challenge,
    score,
    promise,
    train,
    vortex,
    recommend,
    export,
    verify,
    serve,
    infer,
    link,
    sweep,
    tradeoff,
    reproduce,
    demo,
):
    commands.add_command(command)


def main() -> None:
    """Run the command line; a known problem becomes one line and exit code 1."""
    try:
        sys.exit(commands.main(standalone_mode=False))
    except GoldcutError as error:
        _say(f"error: {error}")
        sys.exit(1)
    except ModuleNotFoundError as error:
        if not error.name or error.name.startswith("goldcut"):
            raise
        _say(f"error: {error.name} is not installed, and this command needs it. Install goldcut, not goldcut-edge.")
        sys.exit(1)
    except click.ClickException as error:
        error.show()
        sys.exit(error.exit_code)
    except (KeyboardInterrupt, click.Abort):
        _say("interrupted: what is done is kept; the same command goes on from there")
        sys.exit(130)


def _say(line: str) -> None:
    click.echo(line, err=True)
