"""`tagbelt report`: a finished run looked at closely."""

import json
from pathlib import Path
from typing import Annotated

import typer

from tagbelt.commands.failures import told
from tagbelt.commands.options import Threads

PAGE = "report.html"

On = Annotated[
    str | None,
    typer.Option(
        help="What to judge on: dev, test, or a file in the layout of the run's own; "
        "test unless given, dev for a run without one.",
    ),
]
AsJson = Annotated[bool, typer.Option("--json", help="Write the figures as JSON.")]


def report_command(
    run: Annotated[Path, typer.Argument(help="The directory of a finished run.")],
    on: On = None,
    out: Annotated[
        Path | None,
        typer.Option(help="Where the page goes; RUN/report.html, or report-ON.html, unless given."),
    ] = None,
    mistakes: Annotated[
        int, typer.Option(min=0, help="How many sentences with mistakes to show, worst first.")
    ] = 50,
    threads: Threads = None,
    as_json: AsJson = False,
) -> None:
    """Write one HTML page on a run: learning curves, scores, calibration and worst mistakes.

    With --json the same figures go to standard output, and a page only where --out says so.
    """
    with told("report"):
        from tagbelt.training.analysis.page import render_page
        from tagbelt.training.analysis.report import LIMIT, load_run, make_report
        from tagbelt.training.analysis.report import as_json as values

        report = make_report(load_run(run), on, threads=threads)
        page = out or (None if as_json else run / _page_name(on))
        if page is not None:
            page.write_text(render_page(report, mistakes), encoding="utf-8")
            typer.echo(f"report: {page}", err=True)
        if report.is_miscalibrated:
            typer.echo(
                f"the calibration error on dev is {report.dev_error:.3f}, above {LIMIT}: "
                "take scores as an order, not as probabilities",
                err=True,
            )
        if as_json:
            typer.echo(json.dumps(values(report, mistakes), ensure_ascii=False, indent=1))


def _page_name(on: str | None) -> str:
    """A name of its own for each file that is judged on, so that none goes over another's."""
    return PAGE if on is None else f"report-{Path(on).stem}.html"
