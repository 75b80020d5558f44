"""How much of a gradient is left k steps back: `gradients`, and `explosion` with large weights."""

import math
import statistics
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from typing import Any

import torch
from matplotlib.figure import Figure
from torch import Generator, Tensor

from tagbelt.model.cells.layer import RECURRENT_WEIGHTS
from tagbelt.model.config import CELLS
from tagbelt.model.network import Encoder
from tagbelt.training.experiments.drawing import COLOURS, MARKERS, band, legend
from tagbelt.training.experiments.sequences import (
    TASKS,
    Effort,
    fresh_encoder,
    learn,
    sequence_network,
)
from tagbelt.training.experiments.taggers import text_rows, trained
from tagbelt.training.experiments.trials import (
    VARIANTS,
    Experiment,
    Key,
    Record,
    Records,
    Table,
    Tell,
    Trying,
    extent,
    grouped,
)

WIDTH = 32
"""Units, and numbers of a random input."""
BACK = 100
"""Steps that are looked back."""
LEARNT_LAG, EFFORT = 20, Effort()
"""What a network has learnt that is looked at after training."""


def norms_at_start(variant: str, steps: int, seed: int) -> list[float]:
    """Return `jacobian_norms` of a fresh network that reads normal noise."""
    encoder = fresh_encoder({**VARIANTS[variant], "hidden": WIDTH}, WIDTH, seed)
    rows = torch.randn(steps, WIDTH, generator=Generator().manual_seed(seed))
    return jacobian_norms(encoder, rows)


def jacobian_norms(encoder: Encoder, rows: Tensor, hidden: int | None = None) -> list[float]:
    """Return the Frobenius norm of d h_T / d x_(T-k) for k from 0, for one sequence [T, I].

    `hidden` are the units of the first direction, the only one looked at; all unless given. The
    sequence is read once a unit, all copies in one batch, so that one backward pass gives the
    whole Jacobian.
    """
    steps = len(rows)
    with torch.no_grad():
        units = hidden or encoder(rows[:1], torch.ones(1, dtype=torch.int64)).shape[1]
    copies = rows[:, None].repeat(1, units, 1).requires_grad_()  # [T, H, I]
    states = encoder(copies.flatten(0, 1), torch.full((steps,), units))
    states.view(steps, units, -1)[-1].diagonal().sum().backward()
    assert copies.grad is not None  # for the type checker: it is a leaf
    norms = copies.grad.double().flatten(1).norm(dim=1)
    return [float(f"{norm:.4g}") for norm in norms.flip(0).tolist()]


STATES = {"start": "At the start", "first": "After learning first, lag 20", "text": "After NER"}


def _trials(options: Trying, _: Records) -> Iterator[Key]:
    more = options.variants("lstm b_f=0", "lstm b_f=5")
    for state in STATES if options.data else ("start", "first"):
        for variant in (*options.variants(*CELLS), *(more if state != "text" else ())):
            for seed in range(1, options.seeds + 1):
                yield {"state": state, "variant": variant, "seed": seed}


def _run(key: Key, options: Trying, tell: Tell) -> dict[str, Any]:
    variant, seed = key["variant"], key["seed"]
    tell("norms")
    if key["state"] == "start":
        return {"norms": norms_at_start(variant, BACK + 1, seed)}
    if key["state"] == "first":
        task = TASKS["first"]
        network = sequence_network({**VARIANTS[variant], "hidden": WIDTH}, task, seed)
        found = learn(network, task, LEARNT_LAG, seed, EFFORT, tell)
        rows = task.make(1, BACK, Generator().manual_seed(seed)).inputs[:, 0]
        return {"norms": jacobian_norms(network.encoder, rows), **asdict(found)}
    tagger, rows = text_rows(trained(options, variant, seed, tell), options, BACK + 1)
    return {"norms": jacobian_norms(tagger.encoder, rows, tagger.config.encoder.hidden)}


def _draw(figure: Figure, records: Sequence[Record]) -> None:
    states = list(dict.fromkeys(record["state"] for record in records))
    grid = figure.subplots(1, len(states), sharey=True, squeeze=False)[0]
    for axes, state in zip(grid, states, strict=True):
        of_state = [record for record in records if record["state"] == state]
        for (variant,), results in grouped(of_state, "variant").items():
            rows = [relative(result["norms"]) for result in results]
            band(axes, variant, range(len(rows[0])), rows, every=20)
        axes.set_yscale("log")
        axes.set_ylim(1e-9, 10)
        axes.set_xlabel("k, steps back")
        axes.set_title(STATES[state], loc="left")
    grid[0].set_ylabel("gradient left, of that at k = 0")
    legend(figure, grid)


def relative(norms: Sequence[float]) -> list[float]:
    """Return norms as shares of the first; what is 0 in float32 as 1e-30."""
    return [max(norm / norms[0], 1e-30) for norm in norms]


SHOWN = (4, 10, 20, 50, 100)
"""Steps back that the table shows."""


def _table(records: Sequence[Record]) -> Table:
    rows = [
        (
            state,
            variant,
            *(
                extent([result["norms"][k] / result["norms"][0] for result in results])
                for k in SHOWN
            ),
        )
        for (state, variant), results in grouped(records, "state", "variant").items()
    ]
    return Table(("network", "cell", *(f"k = {k}" for k in SHOWN)), tuple(rows))


# Large recurrent weights.
SCALES = (0.5, 1.0, 1.5, 2.0)
"""What the orthogonal recurrent weights are multiplied by: the largest factor of a step."""
TINY = 1e-30
"""Inputs so small that tanh gives them back to the last bit: the network is linear there."""
LOOKED_BACK = 50
STEPS = {True: 500, False: 5000}
CLIPS = {"clipped": 1.0, "not clipped": math.inf}


def _explosion_trials(options: Trying, _: Records) -> Iterator[Key]:
    networks = [(cell, scale, True) for cell in ("rnn", "lstm") for scale in SCALES]
    networks += [("rnn", scale, False) for scale in SCALES]
    kinds: list[Key] = [
        {"of": "gradient", "variant": cell, "scale": scale, "tanh": tanh}
        for cell, scale, tanh in networks
        if cell in options.cells
    ]
    if "rnn" in options.cells:
        steps = STEPS[options.quick]
        kinds += [
            {"of": "training", "variant": "rnn", "scale": 1.5, "clip": clip, "steps": steps}
            for clip in CLIPS
        ]
    for kind in kinds:
        for seed in range(1, options.seeds + 1):
            yield {**kind, "seed": seed}


def _explode(key: Key, _: Trying, tell: Tell) -> dict[str, Any]:
    settings, seed = VARIANTS[key["variant"]], key["seed"]
    tell("runs")
    if key["of"] == "gradient":
        encoder = fresh_encoder({**settings, "hidden": WIDTH}, WIDTH, seed)
        enlarge(encoder, key["scale"])
        rows = torch.randn(LOOKED_BACK + 1, WIDTH, generator=Generator().manual_seed(seed))
        size = 1.0 if key["tanh"] else TINY
        with torch.no_grad():
            states = encoder(rows * size, torch.ones(len(rows), dtype=torch.int64))
        largest = float(f"{float(states.abs().max()) / size:.4g}")
        return {"norms": jacobian_norms(encoder, rows * size), "largest": largest}
    task, lengths, losses = TASKS["adding"], [], []
    network = sequence_network({**settings, "hidden": WIDTH}, task, seed)
    enlarge(network.encoder, key["scale"])
    effort = Effort(
        steps=key["steps"], optimiser="sgd", learning_rate=0.05, clip=CLIPS[key["clip"]]
    )

    def watch(loss: float, norm: float) -> None:
        if math.isfinite(loss) and math.isfinite(norm):
            losses.append(float(f"{loss:.4g}"))
            lengths.append(float(f"{effort.learning_rate * min(norm, effort.clip):.4g}"))

    found = learn(network, task, 50, seed, effort, watch=watch)
    return {**asdict(found), "losses": losses, "lengths": lengths}


@torch.no_grad()
def enlarge(encoder: Encoder, scale: float) -> None:
    """Multiply all recurrent weights."""
    for name, weight in encoder.named_parameters():
        if name.rpartition(".")[2].startswith(RECURRENT_WEIGHTS):
            weight.mul_(scale)


def _draw_explosion(figure: Figure, records: Sequence[Record]) -> None:
    left, right = figure.subplots(1, 2)
    of_gradient = [r for r in records if r["of"] == "gradient" and r["variant"] == "rnn"]
    for (scale, tanh), results in grouped(of_gradient, "scale", "tanh").items():
        hue, rows = SCALES.index(scale), [relative(result["norms"]) for result in results]
        name = f"rnn, weights x {scale}" + ("" if tanh else ", without tanh")
        line: dict[str, Any] = {
            "color": COLOURS[hue],
            "marker": MARKERS[hue],
            "linestyle": "-" if tanh else ":",
        }
        band(left, name, range(len(rows[0])), rows, every=10, **line)
    left.set_yscale("log")
    left.set_ylim(1e-12, 1e16)
    left.set_xlabel("k, steps back")
    left.set_ylabel("gradient, of that at k = 0")
    left.set_title("Gradient at the start", loc="left")
    trainings = [r for r in records if r["of"] == "training"]
    for (clip,), results in grouped(trainings, "clip").items():
        for number, result in enumerate(results):
            label = f"{clip}, each seed" if number == 0 else ""
            colour = COLOURS[list(CLIPS).index(clip)]
            right.plot(result["lengths"], color=colour, linewidth=0.9, label=label)
    right.set_yscale("log")
    right.set_xlabel("step of training")
    right.set_ylabel("how far the weights move")
    right.set_title("rnn, weights x 1.5, on adding", loc="left")
    legend(figure, (left, right))


def _explosion_table(records: Sequence[Record]) -> Table:
    rows = []
    found = grouped(records, "variant", "scale", "tanh", "clip")
    for (variant, scale, tanh, clip), results in found.items():
        if clip is None:
            kept = extent([r["norms"][-1] / r["norms"][0] for r in results])
            figures = (kept, extent([r["largest"] for r in results]), "-", "-")
            network = f"{variant}, x {scale}, {'tanh' if tanh else 'no tanh'}"
        else:
            ended = [r for r in results if len(r["losses"]) < r["steps"]]
            last = extent([statistics.fmean(r["losses"][-50:]) for r in results])
            how = f"{len(ended)}/{len(results)} diverge" if ended else f"loss {last}"
            figures = ("-", "-", extent([max(r["lengths"]) for r in results]), how)
            network = f"{variant}, x {scale}, {clip}"
        rows.append((network, *figures))
    columns = (
        *("network", f"gradient at k = {LOOKED_BACK}", "largest state"),
        *("longest step of the weights", "end of training"),
    )
    return Table(columns, tuple(rows))


gradients = Experiment(
    "A plain RNN's gradient vanishes with the steps; a gate mends it.",
    _trials,
    _run,
    _draw,
    _table,
    (11.5, 4.2),
)
explosion = Experiment(
    "Large weights make gradients explode; tanh bounds the states, clipping the steps.",
    _explosion_trials,
    _explode,
    _draw_explosion,
    _explosion_table,
    (10.5, 4.2),
)
