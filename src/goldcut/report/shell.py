"""What every page has in common: one HTML file that needs nothing but a browser, and asks the network for nothing.

Scripts run only when their hash is in the page's content security policy, so a name in a record that
looks like a script stays text even if it were to slip through the escaping.
"""

import base64
import hashlib
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from goldcut.report.figures import Chart

HERE = Path(__file__).parent


def fill(template: str, charts: Iterable[Chart], **values: Any) -> str:
    """A template of this folder as text, with the charts' figures, plotly, script, style and policy in it."""
    plotly, script = (Markup(_read(name)) for name in ("vendor/plotly-basic.min.js", "page.js"))
    environment = Environment(
        loader=FileSystemLoader(HERE), autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["prose"] = _prose
    return environment.get_template(template).render(
        figures={chart.id: chart.figure for chart in charts},
        plotly=plotly,
        script=script,
        style=Markup(_read("page.css")),
        policy=_policy(plotly, script),
        **values,
    )


def _prose(sentence: str) -> Markup:
    """A sentence as HTML, with `commands` set as code and dotted names that may break behind a dot."""
    breaking = re.sub(r"(?<=[A-Za-z_])\.(?=\w)|(?<=\w)\.(?=[A-Za-z_])", ".<wbr>", str(escape(sentence)))
    return Markup(re.sub(r"`([^`]+)`", r"<code>\1</code>", breaking))


def _policy(*scripts: str) -> str:
    """Nothing from outside, and no script but these."""
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    allowed = " ".join(f"'sha256-{digest}'" for digest in hashes)
    return (
        f"default-src 'none'; script-src {allowed}; style-src 'unsafe-inline'; img-src data:; font-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _read(name: str) -> str:
    return (HERE / name).read_text(encoding="utf-8")
