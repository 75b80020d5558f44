"""The `tagbelt` command: its subcommands, each of which imports what it needs when it runs."""

import io
import sys

import typer

from tagbelt.commands.compare import command as compare_command
from tagbelt.commands.data import app as data_app
from tagbelt.commands.evaluate import command as evaluate_command
from tagbelt.commands.experiment import command as experiment_command
from tagbelt.commands.inspect import command as inspect_command
from tagbelt.commands.keys import app as keys_app
from tagbelt.commands.models import package_command, pull_command, push_command
from tagbelt.commands.report import report_command
from tagbelt.commands.search import command as search_command
from tagbelt.commands.serve import command as serve_command
from tagbelt.commands.tag import command as tag_command
from tagbelt.commands.train import command as train_command

app = typer.Typer(
    help="Named-entity recognition: train on CoNLL data, tag text, serve over HTTP.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
app.command("train")(train_command)
app.command("search")(search_command)
app.command("compare")(compare_command)
app.command("report")(report_command)
app.command("serve")(serve_command)
app.add_typer(keys_app, name="keys")
app.add_typer(data_app, name="data")
app.command("evaluate")(evaluate_command)
app.command("tag")(tag_command)
app.command("inspect")(inspect_command)
app.command("package")(package_command)
app.command("pull")(pull_command)
app.command("push")(push_command)
app.command("experiment")(experiment_command)


def main() -> None:
    """Run the command. What it writes is UTF-8, also where the platform's pipes are not."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")
    app()
