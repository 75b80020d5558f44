from benchmarks.common import materials
from benchmarks.speed import latency, training
from benchmarks.speed.systems import Opened, System


class Stub:
    """A child whose calls take the times that it is told."""

    def __init__(self, times):
        self.calls = []
        self._times = iter(times)

    def call(self, name, **arguments):
        self.calls.append((name, arguments.get("start")))
        if name == "latency":
            return [next(self._times) for _ in range(arguments["calls"])]
        return next(self._times) if name == "epoch" else None


def opened(name, times, **options):
    about = {"versions": {"some": "1.0"}}
    return Opened(System(name, "some.py", "some", "a note", options), Stub(times), about)


def test_percentiles_are_of_all_calls_and_the_warm_ones_do_not_count(tmp_path, monkeypatch):
    monkeypatch.setattr(materials, "CACHE", tmp_path)
    warm = [1000.0, 1000.0]
    ours = opened(latency.BASE, [*warm, 1.0, 2.0, 3.0, 4.0])
    theirs = opened("other", [*warm, 10.0, 20.0, 60.0, 80.0])
    rows = latency.measured({latency.BASE: ours, "other": theirs}, ["a text"], 2, 2)
    assert [rows[0][key] for key in ("calls", "p50", "p90", "p99", "max")] == [4, 2, 4, 4, 4]
    assert rows[0]["p99_over_p50"] == 2
    assert rows[0]["p50_of_slices"]["values"] == [1, 3]
    assert "ratio" not in rows[0]
    assert rows[1]["ratio"]["values"] == [10, 20]
    # Each slice goes on where the one before it ended.
    assert [start for name, start in theirs.child.calls if name == "latency"] == [0, 0, 2]


def test_training_rates_are_tokens_over_the_seconds_of_an_epoch():
    children = {
        training.BASE: opened(training.BASE, [99.0, 1.0, 2.0], cell="lstm"),
        "other": opened("other", [99.0, 4.0, 4.0]),
    }
    rows = training.measured(children, tokens=100, rounds=2)
    assert [row["rate"]["values"] for row in rows] == [[100, 50], [25, 25]]
    assert rows[1]["ratio"]["values"] == [4, 2]
    assert rows[1]["cell"] == "lstm"
    assert rows[0]["versions"] == {"some": "1.0"}
