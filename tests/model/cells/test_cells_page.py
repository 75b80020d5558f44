"""The code of docs/cells.md computes the cells that train."""

import inspect
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from tagbelt.inference.equations import EQUATIONS, sigmoid
from tagbelt.inference.float_network import LayerWeights
from tagbelt.model.cells import CELLS
from tests.model.networks import ALL_CELLS

DOCS = Path(__file__).parents[3] / "docs"
PAGE, CHINESE = ((DOCS / name).read_text(encoding="utf-8") for name in ("cells.md", "cells.zh.md"))
CODE = dict(re.findall(r"^## ([\w-]+)\n.*?```python\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))
EXPERIMENTS = re.findall(r"^### (\w+)$", PAGE, re.MULTILINE)
LETTERS = {"candidate": "g", "update": "z"}
"""Of blocks that are not called by their first letter."""


def step_of(cell):
    """The function of a cell, as the page has it."""
    names = {"np": np, "tanh": np.tanh, "sigmoid": sigmoid}
    before = set(names)
    exec(CODE[cell], names)  # our own page
    (function,) = (names[name] for name in set(names) - before - {"__builtins__"})
    return function


def arguments_of(cell, weights, direction):
    """W, U, b, d and p of one direction, by the letters of the gates."""
    letters = [LETTERS.get(block, block[0]) for block in EQUATIONS[cell].blocks]
    inputs, late = weights.input_bias[direction].copy(), weights.state_bias[direction].copy()
    d = late.copy()
    if EQUATIONS[cell].parted:
        late[-1] = 0.0  # which is d
    return {
        "W": dict(zip(letters, weights.inputs[direction], strict=True)),
        "U": dict(zip(letters, weights.states[direction], strict=True)),
        "b": dict(zip(letters, inputs + late, strict=True)),
        "d": dict(zip(letters, d, strict=True)),
        "p": dict(zip(letters[1:], weights.peephole[direction], strict=False)),
    }


def test_every_cell_is_on_the_page_and_nothing_else():
    assert set(CODE) == set(CELLS)
    assert all(len(code.strip().splitlines()) <= 10 for code in CODE.values())
    assert re.findall(r"^\| \[`([\w-]+)`\]", PAGE, re.MULTILINE) == list(CELLS)


@pytest.mark.parametrize(("cell", "peephole"), ALL_CELLS)
def test_the_code_of_the_page_computes_the_cell(cell, peephole):
    torch.manual_seed(0)
    module = CELLS[cell](3, 4, bidirectional=True, peephole=peephole)
    for parameter in module.parameters():
        nn.init.normal_(parameter, std=0.7)
    words = torch.randn(6, 3)
    with torch.no_grad():
        states = module(words, torch.ones(6, dtype=torch.int64)).numpy()
    own = {name: value.detach().numpy() for name, value in module.named_parameters()}
    gates = list(peephole) if isinstance(peephole, tuple) else peephole
    weights, step = LayerWeights.read(own, EQUATIONS[cell], gates), step_of(cell)
    wanted = inspect.signature(step).parameters
    for direction, order in enumerate((range(6), range(5, -1, -1))):
        given = arguments_of(cell, weights, direction)
        h = c = np.zeros(4, np.float32)
        for t in order:
            values = {"x": words[t].numpy(), "h": h, "c": c, **given}
            found = step(**{name: values[name] for name in wanted})
            h, c = found if isinstance(found, tuple) else (found, c)
            part = slice(4 * direction, 4 * direction + 4)
            np.testing.assert_allclose(states[t, part], h, atol=1e-5)


def equations(page):
    """Indented lines with an equals sign that are plain ASCII: what stands in both languages."""
    return [
        line.split("  ")[2].strip()
        for line in re.findall(r"^    .* = .*$", page, re.MULTILINE)
        if line.split("  ")[2].isascii()
    ]


def test_both_languages_have_the_same_sections_code_equations_and_plots():
    for pattern in (
        r"^#+(?= )",  # levels of headings
        r"^#{2,3} [a-z-]+$",  # those that name a cell or an experiment
        r"^```python\n(?s:.*?)```",
        r"\]\((cells/\w+\.svg)\)",
        r"^    tagbelt .*$",
    ):
        ours, theirs = (re.findall(pattern, page, re.MULTILINE) for page in (PAGE, CHINESE))
        assert ours == theirs
        assert ours
    assert equations(PAGE) == equations(CHINESE)
    assert len(equations(PAGE)) > 15


def tables(page):
    """The cells of each row of each table, without heads."""
    rows = re.findall(r"^\| ?(.*?) ?\|$", page, re.MULTILINE)
    split = [[cell.strip() for cell in row.split(" | ")] for row in rows]
    heads = {i - 1 for i, row in enumerate(rows) if set(row) <= set("-| ")}
    return [row for i, row in enumerate(split) if i not in heads and i - 1 not in heads]


def test_both_languages_have_the_same_figures():
    ours, theirs = tables(PAGE), tables(CHINESE)
    assert len(ours) == len(theirs) > 50
    for here, there in zip(ours, theirs, strict=True):
        numbers = [re.findall(r"\d[\d.,e-]*\d|\d", " ".join(row[1:])) for row in (here, there)]
        assert sorted(numbers[0]) == sorted(numbers[1]), (here, there)


@pytest.mark.parametrize("name", EXPERIMENTS)
def test_what_the_pages_show_was_measured(name):
    pytest.importorskip("matplotlib", reason="experiments need the extra `plots`")
    from tagbelt.training.experiments.table import EXPERIMENTS as KNOWN

    assert list(KNOWN) == EXPERIMENTS
    results, plot = DOCS / "cells" / f"{name}.json", f"(cells/{name}.svg)"
    if not results.exists():  # then the pages say so, and show nothing
        assert plot not in PAGE + CHINESE
        return
    records = json.loads(results.read_text(encoding="utf-8"))
    assert len({record["seed"] for record in records}) >= 3
    assert (DOCS / "cells" / f"{name}.svg").exists()
    rows = KNOWN[name].table(records).markdown().split("\n")[2:]
    for page in (PAGE, CHINESE):
        assert plot in page
        assert "\n".join(rows) in page
