"""`tagbelt inspect`: what happens inside the network, as JSON or as one page that can be mailed."""

import json
from base64 import b64encode
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from tagbelt.commands.failures import told
from tagbelt.commands.options import Model
from tagbelt.data.checkpoint.finding import ENGLISH

if TYPE_CHECKING:
    from tagbelt.inference import Inspection

TEMPLATE = Path(__file__).with_name("inspect.html")
PLACE = "/*DATA*/null"
"""Where the page has its data."""


def command(
    text: Annotated[str, typer.Argument(help="The text to look at, of at most 128 tokens.")],
    model: Model = Path(ENGLISH),
    html: Annotated[
        Path | None,
        typer.Option(help="Write one page that needs nothing else, instead of JSON."),
    ] = None,
    vectors: Annotated[
        bool, typer.Option("--vectors", help="Whole vectors in the JSON, not their norms alone.")
    ] = False,
) -> None:
    """Show the gates, the memory and the choices of a model on one text, token by token."""
    with told("inspect"):
        from tagbelt.inference import Tagger

        tagger = Tagger.load(model, threads=1)
        inspection = tagger.inspect(text, occlude="all")
        if html is None:
            value = inspection.to_json(vectors=vectors)
            typer.echo(json.dumps(value, ensure_ascii=False))
            return
        html.write_text(render_inspection(inspection), encoding="utf-8")
        typer.echo(f"page: {html}", err=True)


def render_inspection(inspection: "Inspection") -> str:
    """Return one HTML file, with its data and its script inside."""
    # No text can end the script that holds it.
    data = json.dumps(_page_data(inspection), ensure_ascii=False).replace("<", "\\u003c")
    return TEMPLATE.read_text(encoding="utf-8").replace(PLACE, data, 1)


def _page_data(inspection: "Inspection") -> dict[str, Any]:
    """The JSON of an inspection, and each gate of each unit as a byte: [T, H] in base64."""
    data = inspection.to_json()
    for sentence, trace in zip(data["sentences"], inspection.sentences, strict=True):
        for layer, directions in zip(sentence["layers"], trace.layers, strict=True):
            for members, direction in zip(layer, directions, strict=True):
                members["units"] = {
                    name: b64encode((gate * 255).round().astype("uint8").tobytes()).decode()
                    for name, gate in direction.gates.items()
                }
    return data
