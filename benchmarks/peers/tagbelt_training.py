"""Tagbelt's own training, as a child like the others; it runs in our own environment."""

import os
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from protocol import serve, versions

from tagbelt.model.batch import EncodedSentences
from tagbelt.training.config import load_config
from tagbelt.training.events import Epoch, Step
from tagbelt.training.run.prepare import prepare

# An epoch ends with an evaluation, which is not timed; so few sentences are soon evaluated.
DEV = 4


class Peer:
    """A trainer of the preset, on some of its sentences."""

    def __init__(self) -> None:
        self._events: Any = None

    def load(self, threads: int, config: str, data: str, cell: str, chosen: list[int]) -> Any:
        """Prepare a run as `tagbelt train` does, then keep the chosen sentences of its training."""
        torch.set_num_threads(threads)
        os.environ["TAGBELT_DATA"] = data
        settings = [f"training.{name}=1000" for name in ("epochs", "patience")]
        settings += [f"model.encoder.cell={cell}", f"training.threads={threads}"]
        run = prepare(load_config(Path(config), settings), Path())
        trainer = replace(
            run.trainer,
            train=_part(run.trainer.train, chosen),
            dev=_part(run.trainer.dev, range(DEV)),
            dev_gold=run.trainer.dev_gold[:DEV],
        )
        self._events = trainer.run()
        return {"versions": versions("torch")}

    def epoch(self) -> float:
        """Train one epoch with all that its steps do; return its seconds."""
        began = time.perf_counter()
        seconds = 0.0
        for event in self._events:
            if isinstance(event, Step) and event.done == event.batches:
                seconds = time.perf_counter() - began
            if isinstance(event, Epoch):
                break
        return seconds


def _part(sentences: EncodedSentences, chosen: Sequence[int]) -> EncodedSentences:
    tags = sentences.tags
    return replace(
        sentences,
        sentences=tuple(sentences.sentences[i] for i in chosen),
        tags=None if tags is None else tuple(tags[i] for i in chosen),
    )


if __name__ == "__main__":
    peer = Peer()
    serve({"load": peer.load, "epoch": peer.epoch})
