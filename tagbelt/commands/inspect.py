"""`tagbelt inspect`: what happens inside the network, as JSON or as one page that can be mailed."""

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagbelt.commands.failures import told
from tagbelt.data.checkpoint.finding import ENGLISH

if TYPE_CHECKING:
    from tagbelt.inference import Inspection, Tagger

TEMPLATE = Path(__file__).with_name("inspect.html")
STYLES = ("style.css", "inside.css")
SCRIPTS = (
    *("storage.js", "en.js", "zh.js", "words.js", "dom.js", "labels.js", "appearance.js"),
    *("trace.js", "pictures.js", "belt.js", "inside.js"),
)
"""Files of the serving page that draw, each behind those that it imports."""
SHOWN = frozenset({"forget", "input", "output", "reset", "update", "cell", "state"})
"""Vectors of each unit that the page draws."""

_IMPORT = re.compile(r'^import (\{.*\}) from "\./(.*)";$', re.MULTILINE)
_EXPORT = re.compile(r"^export (?=(?:const|let|function|class) ([\w$]+))", re.MULTILINE)


def command(
    text: Annotated[str, typer.Argument(help="The text to look at, of at most 128 tokens.")],
    model: Annotated[
        list[Path] | None,
        typer.Option(
            "--model",
            "-m",
            help="A checkpoint, or the name of a model: a small one too (small-rnn, small-lstm, "
            "small-gru, small-zh-rnn, ...). Several stand side by side with --html. The bundled "
            "English model unless given.",
        ),
    ] = None,
    html: Annotated[
        Path | None,
        typer.Option(help="Write one page that needs nothing else, instead of JSON."),
    ] = None,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Whole vectors in the JSON, not their norms alone.")
    ] = False,
) -> None:
    """Show the gates, the memory and the choices of a model on one text, token by token."""
    models = model or [Path(ENGLISH)]
    if html is None and len(models) > 1:
        raise typer.BadParameter("several models stand side by side on a page: add --html out.html")
    if len(models) > 3:
        raise typer.BadParameter("at most three models stand side by side")
    with told("inspect"):
        taggers = [_tagger(path) for path in models]
        inspections = [tagger.inspect(text, occlude="all") for tagger in taggers]
        if html is None:
            value = inspections[0].to_json(vectors=vectors)
            typer.echo(json.dumps(value, ensure_ascii=False))
            return
        html.write_text(render_inspections(inspections, taggers[0].info.language), encoding="utf-8")
        typer.echo(f"page: {html}", err=True)


def _tagger(path: Path) -> "Tagger":
    from tagbelt.inference import Tagger
    from tagbelt.service.models.small import FOLDER, small_models

    small = str(path) in small_models() and not path.exists()
    return Tagger.load(FOLDER / path if small else path, threads=1)


def render_inspections(inspections: Sequence["Inspection"], language: str = "") -> str:
    """Return one HTML file, with its data and all that draws it inside.

    `language` is the language tag of the text; "" where it is not known.
    """
    from tagbelt.service.api.pages import FOLDER

    # No text can end the script that holds it.
    data = json.dumps(
        {"inspections": [_page_data(one) for one in inspections], "language": language},
        ensure_ascii=False,
    ).replace("<", "\\u003c")
    parts = {
        "/*STYLE*/": "".join((FOLDER / name).read_text(encoding="utf-8") for name in STYLES),
        "/*DATA*/null": data,
        "/*SCRIPT*/": "".join(
            _classic(name, (FOLDER / name).read_text(encoding="utf-8")) for name in SCRIPTS
        ),
    }
    page = TEMPLATE.read_text(encoding="utf-8")
    return re.sub("|".join(map(re.escape, parts)), lambda place: parts[place[0]], page)


def _classic(name: str, source: str) -> str:
    """Return a module as a script: one inside a page of its own cannot import another."""
    exported = ", ".join(_EXPORT.findall(source))
    body = _EXPORT.sub("", _IMPORT.sub(r'const \1 = MODULES["\2"];', source))
    return f'MODULES["{name}"] = (() => {{\n{body}\nreturn {{ {exported} }};\n}})();\n'


def _page_data(inspection: "Inspection") -> dict[str, Any]:
    """The JSON of an inspection, with the vectors that are drawn, rounded."""
    data = inspection.to_json(vectors=True)
    for sentence in data["sentences"]:
        for members in (one for layer in sentence["layers"] for one in layer):
            members["vectors"] = {
                name: [[round(value, 2) for value in row] for row in rows]
                for name, rows in members["vectors"].items()
                if name in SHOWN
            }
    return data
