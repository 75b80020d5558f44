"""`tagbelt search`: many runs of one config, to find good settings."""

from pathlib import Path
from typing import Annotated

import typer

from tagbelt.commands.failures import told
from tagbelt.commands.train import RUNS, ConfigPath, Overrides

Out = Annotated[
    Path | None,
    typer.Option(help="Directory of the search; runs/ and the config's name-search unless given."),
]
Minutes = Annotated[
    float, typer.Option(min=0.0, help="Time to search; the epoch under way is ended.")
]
Trials = Annotated[
    int | None, typer.Option(min=1, help="End sooner, when so many trials have ended in all.")
]
Storage = Annotated[
    str | None,
    typer.Option(
        metavar="URL",
        help="Database of the study, such as postgresql://host/name, for many machines to share; "
        "OUT/study.db unless given.",
    ),
]


def command(
    config: ConfigPath,
    overrides: Overrides = None,
    out: Out = None,
    minutes: Minutes = 30.0,
    trials: Trials = None,
    storage: Storage = None,
) -> None:
    """Search settings that are good on dev; OUT/best.toml is the best config, for `train`.

    The same command goes on with a search, and with the trial that was stopped.
    """
    with told("search", if_stopped="all whole epochs are kept: go on with the same command"):
        from tagbelt.training.config import load_config

        loaded = load_config(config, overrides or [])
        from rich.console import Console

        from tagbelt.commands.search_view import SearchView, closing
        from tagbelt.training.search.study import search

        directory = out or RUNS / f"{loaded.name}-search"
        console = Console(stderr=True)
        with SearchView(console, minutes) as view:
            found = search(
                loaded,
                directory,
                minutes=minutes,
                trials=trials,
                storage=storage,
                progress=view,
            )
        console.print(closing(found), highlight=False, markup=False, soft_wrap=True)
