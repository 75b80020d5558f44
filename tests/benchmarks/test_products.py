import numpy as np
import onnxruntime
import pytest

from benchmarks.speed.products import Shape, graph, shapes, timed, weights_of


def test_shapes_are_those_of_the_network():
    made = {s.name: (s.inputs, s.outputs, s.times) for s in shapes(100, 200, 17)}
    assert made == {"input": (100, 1600, 1), "recurrent": (200, 800, 2), "emission": (400, 17, 1)}


@pytest.mark.parametrize("kind", ["int8", "float32"])
def test_graphs_are_the_products(kind):
    shape = Shape("some", 5, 7, times=2)
    model = graph(shape, kind).SerializeToString()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    random = np.random.default_rng(1)
    rows = random.integers(0, 256, (2, 3, 5), np.uint8)
    if kind == "float32":
        rows = random.normal(size=(2, 3, 5)).astype(np.float32)
    found = session.run(None, {"rows0": rows[0], "rows1": rows[1]})
    for number, product in enumerate(found):
        shift = 128 if kind == "int8" else 0
        expected = (rows[number].astype(np.float64) - shift) @ weights_of(
            shape, kind == "int8", number
        )
        np.testing.assert_allclose(product, expected, rtol=1e-5, atol=1e-5)


def test_time_is_a_row_of_a_pass(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("benchmarks.speed.products.time.perf_counter", lambda: next(clock))
    seconds = timed(Shape("some", 5, 7), "float32", 4, least=3)
    assert seconds() == 3 / (3 * 4)
