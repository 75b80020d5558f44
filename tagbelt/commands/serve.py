"""`tagbelt serve`: the HTTP service in one process or several."""

from contextlib import suppress
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from tagbelt.commands.failures import told
from tagbelt.data.checkpoint.finding import find_checkpoint, models_folder


class LogFormat(StrEnum):
    """A format of log lines."""

    auto = "auto"
    json = "json"
    text = "text"


class Versions(StrEnum):
    """The versions of each model that are loaded."""

    latest = "latest"
    all = "all"


def command(
    models: Annotated[
        Path | None,
        typer.Argument(
            help="A checkpoint, a folder of them, or a model's name; the bundled ones if left out."
        ),
    ] = None,
    config: Annotated[
        Path | None, typer.Option(help="A TOML file with settings; TAGBELT_CONFIG names one too.")
    ] = None,
    show_config: Annotated[
        bool,
        typer.Option(
            "--show-config", help="Write all settings and where each comes from, and do no more."
        ),
    ] = False,
    host: Annotated[
        str | None, typer.Option(help="Address to listen on; 127.0.0.1 unless given.")
    ] = None,
    port: Annotated[int | None, typer.Option(help="Port to listen on; 8000 unless given.")] = None,
    uds: Annotated[
        Path | None, typer.Option(help="A unix socket to listen on instead of host and port.")
    ] = None,
    tls_certificate: Annotated[
        Path | None, typer.Option(help="A PEM file with the certificate and its chain.")
    ] = None,
    tls_key: Annotated[Path | None, typer.Option(help="A PEM file with its private key.")] = None,
    workers: Annotated[
        int | None, typer.Option(help="Processes that answer requests; 1 unless given.")
    ] = None,
    threads: Annotated[
        int | None,
        typer.Option(help="Threads of each process; its share of the cores unless given."),
    ] = None,
    default_model: Annotated[
        str | None,
        typer.Option(help="Answers when a request names none; en, else the first by name."),
    ] = None,
    versions: Annotated[
        Versions | None, typer.Option(help="Which versions of each model to load; latest.")
    ] = None,
    api_keys_file: Annotated[
        Path | None, typer.Option(help="A TOML file with API keys; see `tagbelt keys`.")
    ] = None,
    allow_anonymous: Annotated[
        bool, typer.Option("--allow-anonymous", help="Serve others without keys.")
    ] = False,
    log_format: Annotated[
        LogFormat | None, typer.Option(help="auto: text on a terminal and JSON elsewhere.")
    ] = None,
) -> None:
    """Serve models over HTTP, with a page to try them on.

    An argument wins over a TAGBELT_* variable, and that over the file. --show-config lists all
    settings; each has a variable, and a key of the same name in the file.
    """
    given = {
        "host": host,
        "port": port,
        "uds": uds,
        "tls_certificate": tls_certificate,
        "tls_key": tls_key,
        "workers": workers,
        "threads": threads,
        "default_model": default_model,
        "versions": None if versions is None else versions.value,
        "api_keys_file": api_keys_file,
        "allow_anonymous": allow_anonymous or None,
        "log_format": None if log_format is None else log_format.value,
    }
    with told("serve"):
        _serve(models, config, given, show_config)


def _serve(models: Path | None, config: Path | None, given: dict[str, Any], show: bool) -> None:
    from tagbelt.commands.configuration import Configuration
    from tagbelt.service.process.launch import run

    configuration = Configuration.read(given, config)
    for warning in configuration.warnings:
        _say(f"tagbelt serve: {warning}")
    if show:
        typer.echo(configuration.toml(), nl=False)
    else:
        root = models_folder() if models is None else find_checkpoint(models)
        run(configuration.settings, root, say=_say)


def _say(text: str) -> None:
    with suppress(OSError):  # whoever started it reads no more: no reason not to serve
        typer.echo(text, err=True)
