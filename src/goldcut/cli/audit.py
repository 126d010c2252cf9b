"""`goldcut audit`: scan, attack and report in one command, with a gate for pipelines."""

from pathlib import Path

import click

from goldcut.cli.options import (
    Flags,
    attack_options,
    cut_options,
    defense_option,
    json_option,
    labels_option,
    model_options,
    out_option,
    progress_bars,
    run_options,
)


@click.command()
@click.argument("model")
@click.argument("data")
@out_option
@model_options
@labels_option
@cut_options
@defense_option
@attack_options
@run_options
@json_option
@click.option("--fail-if", metavar="CONDITION", help='Exit with 3 when it may hold, e.g. "recovered > 0.2".')
@click.option("--cut", default="recommended", show_default=True, help="The cut that --fail-if is about.")
@click.option("--dry-run", is_flag=True, help="Print the plan and an estimate of the time, then stop.")
@click.pass_context
def audit(
    context: click.Context,
    model: str,
    data: str,
    out: Path,
    model_flags: Flags,
    labels: str,
    cut_flags: Flags,
    defense: str | None,
    attack_flags: Flags,
    run_flags: Flags,
    as_json: bool,
    fail_if: str | None,
    cut: str,
    dry_run: bool,
) -> None:
    """Scan and attack every cut of MODEL on DATA, and write the report.

    The same command goes on where an interrupted one stopped.
    """
    from goldcut.attacks.suite import choose_attacks
    from goldcut.records import to_json
    from goldcut.report.page import write_report
    from goldcut.report.terminal import print_attack, print_scan, print_verdict
    from goldcut.study.attack import attack, check_cuts
    from goldcut.study.gate import judge, parse_gate
    from goldcut.study.plan import make_plan
    from goldcut.study.scan import open_sources, scan

    gate = None if fail_if is None else parse_gate(fail_if)
    choose_attacks(attack_flags["attacks"], attack_flags["effort"], attack_flags["knowledge"])  # before the long scan
    with progress_bars() as progress:
        target, pack = open_sources(model, data, **model_flags)
        if dry_run:
            plan = make_plan(
                target,
                pack,
                level=cut_flags["level"],
                cuts=attack_flags["cuts"],
                attacks=attack_flags["attacks"],
                effort=attack_flags["effort"],
                knowledge=attack_flags["knowledge"],
                aux=attack_flags["aux"],
                victims=attack_flags["victims"],
                device=run_flags["device"],
                seed=run_flags["seed"],
                progress=progress,
            )
        else:
            check_cuts(target, cut_flags["level"], attack_flags["cuts"])
            if gate and cut != "recommended":
                check_cuts(target, cut_flags["level"], cut)
            scanned = scan(
                target, pack, out=out, labels=labels, defense=defense, **cut_flags, **run_flags, progress=progress
            )
            write_report(out)
            attacked = attack(target, pack, out=out, **attack_flags, **run_flags, progress=progress)
            page = write_report(out)
    if dry_run:
        for step in plan.steps:
            click.echo(f"{duration(step.seconds) if step.seconds is not None else '?':>10}  {step.what}")
        besides = f", without {', '.join(plan.unknown)}" if plan.unknown else ""
        click.echo(f"{duration(plan.seconds):>10}  at most, all together{besides}; nothing was written")
        return
    if as_json:
        click.echo(to_json({"scan": scanned, "attack": attacked}), nl=False)
    else:
        print_scan(scanned)
        print_attack(attacked)
        print_verdict(out)
        click.echo(f"Report: {page}")
    if gate:
        judgement = judge(gate, cut, scanned, attacked)
        click.echo(f"Gate: {'passed' if judgement.passed else 'FAILED'}: {judgement.reason}", err=True)
        context.exit(0 if judgement.passed else 3)


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
