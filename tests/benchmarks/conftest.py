"""A results folder that is made up: every result, in the layout that the measurements write."""

import json

import pytest

from tests.benchmarks.service_results import service_results

MACHINE = {
    "cpu": "Abacus 9",
    "cores": 2,
    "memory_gb": 8.0,
    "tier": "wood",
    "flags": ["beads"],
    "system": "Linux",
    "python": "3.11.7",
    "packages": {"numpy": "2.4.6"},
    "commit": "abc1234",
}


def spread(median, width=0.01):
    low, high = median * (1 - width), median * (1 + width)
    return {"median": median, "q1": low, "q3": high, "min": low, "max": high, "values": [median]}


def rate(system, tokens_per_second, ours=160_000.0, **more):
    row = {"system": system, "rate": spread(tokens_per_second), "first": 1000.0, "batch": 64}
    return row | {"ratio": spread(ours / tokens_per_second), "note": f"as {system} is"} | more


def scaled(experiment, costs):
    rows = [
        {"experiment": experiment, "size": size, "unit": "us/token", "peak_mb": 200.0, **spread(us)}
        for size, us in costs.items()
    ]
    most, least = max(costs, key=costs.get), min(costs, key=costs.get)
    ends = {"dearest": most, "cheapest": least, "unit": "x", **spread(costs[most] / costs[least])}
    return [*rows, {"experiment": f"{experiment}: dearest / cheapest", **ends}]


def tokens():
    own = {"system": "Tagbelt int8", "rate": spread(160_000.0), "first": 9000.0, "f1": 90.18}
    return [
        own,
        rate("spaCy small, ner only", 8000.0),
        rate("CRFsuite", 100_000.0),
        rate("CRFsuite, lean features", 123_000.0),
        rate("Flair", 4000.0),
        rate("torch + pytorch-crf tutorial", 16_000.0),
    ]


def latency():
    own = {"system": "Tagbelt int8", "p50": 300.0, "p90": 350.0, "p99": 700.0, "max": 900.0}
    peer = {"system": "spaCy small, ner only", "p50": 3000.0, "p90": 3500.0, "p99": 4000.0}
    return [
        own | {"p99_over_p50": 700 / 300},
        peer | {"max": 9000.0, "p99_over_p50": 4 / 3, "ratio": spread(10.0)},
    ]


def training():
    cells = {"lstm": 9000.0, "lstm-peephole": 8800.0, "lstm-coupled": 9900.0, "gru": 9500.0}
    rows = [rate(f"Tagbelt {cell}", speed, 9000.0) for cell, speed in cells.items()]
    del rows[0]["ratio"]
    peers = {"torch + pytorch-crf tutorial": 3000.0, "bi-lstm-crf": 2000.0}
    return rows + [rate(name, speed, 9000.0) for name, speed in peers.items()]


def scale():
    return [
        *scaled("corpus", {1000: 4.0, 10_000: 4.1, 1_000_000: 4.2}),
        *scaled("texts", {1000: 5.0, 100_000: 5.1}),
        *scaled("length", {5: 4.0, 256: 4.1, 5000: 6.0}),
        *scaled("vocabulary, warm", {100: 4.0, 100_000: 9.0}),
        *scaled("vocabulary, cold", {100: 4.5, 100_000: 14.0}),
    ]


def memory():
    last = {"tokens": 10_000_000, "warm_mb": 250.0, "tokens_per_second": 61_000.0}
    samples = [
        {"experiment": "resident", "size": size, **spread(mb)}
        for size, mb in ((500_000, 245.0), (1_000_000, 250.0), (10_000_000, 251.0))
    ]
    return [{"experiment": "growth", **last, **spread(0.4)}, *samples]


def made_up():
    two = rate("Tagbelt int8", 304_000.0, threads=2, ratio=spread(1.9))
    batches = [rate(name, 50_000.0 + n, batch=n) for name in ("A", "B") for n in (64, 1024)]
    limits = [
        {"system": "int8", "product": product, "rate": spread(per_second)}
        | {"seconds_per_token": spread(1 / per_second), "share": spread(160_000 / per_second)}
        for product, per_second in (("all", 200_000.0), ("without input", 400_000.0))
    ]
    limits[1]["limit"] = "bare loop"
    ready = [("ready, 1 model", 0.6, "s"), ("ready, 2 models", 0.7, "s")]
    resident = [("resident, 2 models", 142.0, "MB"), ("size, wheel", 0.2, "MB")]
    return {
        "tokens": tokens(),
        "texts": [rate("Tagbelt int8", 120_000.0), rate("spaCy small, ner only", 7000.0)],
        "cells": [
            rate("CRFsuite, lean features", 123_000.0),
            rate("Tagbelt int8, lstm", 160_000.0, ratio=spread(1.3), p="", f1=89.87),
            rate("Tagbelt int8, gru", 190_000.0, ratio=spread(1.55), cheapest=True, p="0.34, 0.36"),
        ],
        "threads": [two],
        "chinese": [
            rate("Tagbelt int8, Chinese characters", 200_000.0, ratio=spread(1.3)),
            rate("Tagbelt int8, Chinese characters, all files", 210_000.0, ratio=spread(1.4)),
        ],
        "batch": batches,
        "limits": limits,
        "latency": latency(),
        "training": training(),
        "scale": scale(),
        "memory": memory(),
        "start": [
            {"experiment": name, "unit": unit, **spread(value)}
            for name, value, unit in ready + resident
        ],
        **service_results(spread),
    }


@pytest.fixture
def results(tmp_path):
    """The folder of a machine; a test may remove results from it."""
    folder = tmp_path / "results/abacus"
    folder.mkdir(parents=True)
    for name, rows in made_up().items():
        result = {
            "name": name,
            "date": "2026-01-02",
            "command": f"python -m benchmarks.{name}",
            "machine": MACHINE,
            "settings": {"quick": False},
            "rows": rows,
        }
        (folder / f"{name}.json").write_text(json.dumps(result), encoding="utf-8")
    return folder
