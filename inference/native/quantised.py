"""A recurrent network in bytes, as `recurrent.c` wants it: packing the weights, calling it.

Letters: D directions, G gates, H units, I inputs, K tags; U blocks of 16 units.
"""

import ctypes
import functools
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from tagbelt.inference.native import address, library

LANES, CHUNK, ZERO = 16, 64, 128
LIMIT = 127
"""A byte's largest magnitude; ZERO stands for 0."""

PORTABLE = "portable"
"""Plain C, slower than ONNX Runtime: for tests."""

TIERS = (PORTABLE, "avx2", "avxvnni", "vnni", "amx", "neon", "neondot", "neoni8mm")
"""By their place in a mask of recurrent.c."""
_PREFERRED = ("amx", "vnni", "avxvnni", "avx2", "neoni8mm", "neondot", "neon", PORTABLE)
FEATURES = ("avx2", "fma", "avx512", "avx512vnni", "avxvnni", "amx", "neon", "dotprod", "i8mm")
"""Features of a processor, by their place in a mask; "avx512" is F, BW, VL and DQ."""
_HEADS = "heads.weight"
_CELL_OF = {4: "lstm", 3: "lstm-coupled", 1: "rnn"}
"""By their gates, for files without a name; a GRU has four of which the states reach but three."""

Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]
IntArray = NDArray[np.signedinteger[Any]]
Array = NDArray[Any]
Weights = Mapping[str, Array]


class _CellRow(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("gates", ctypes.c_int32),
        ("sigmoids", ctypes.c_int32),
    ]


class KernelCell(NamedTuple):
    """A cell of cells.h: its number, how many gates it has, and which of them pass a sigmoid."""

    number: int
    gates: int
    sigmoids: tuple[int, ...]


class _Layer(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("cell", "directions", "unit_blocks")),
        *((name, ctypes.c_int32) for name in ("input_bytes", "chunks", "hidden")),
        *((name, ctypes.c_void_p) for name in ("tiles", "scale", "bias", "peephole")),
        ("start", ctypes.c_void_p * 3),
    ]


class _Linear(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("outputs", "blocks", "chunks", "bytes")),
        *((name, ctypes.c_void_p) for name in ("tiles", "scale", "bias", "start")),
    ]


class _Network(ctypes.Structure):
    _fields_ = [
        *((name, ctypes.c_int32) for name in ("layers", "tags", "heads")),
        ("layer", ctypes.POINTER(_Layer)),
        ("scores", _Linear),
        ("pairs", _Linear),
    ]


def tiers() -> tuple[str, ...]:
    """Name the tiers that run on this processor, fastest first; none without the kernels."""
    kernels = library()
    return () if kernels is None else _named(kernels.tagbelt_tiers())


def tiers_of(features: Iterable[str]) -> tuple[str, ...]:
    """Name the tiers, fastest first, of a processor that has some of FEATURES."""
    kernels = library()
    mask = sum(1 << FEATURES.index(feature) for feature in features)
    return () if kernels is None else _named(kernels.tagbelt_tiers_of(mask))


def best_tier() -> str | None:
    """Name the fastest tier of this processor; None without the compiled kernels."""
    return next(iter(tiers()), None)


def _named(mask: int) -> tuple[str, ...]:
    return tuple(tier for tier in _PREFERRED if mask >> TIERS.index(tier) & 1)


@functools.cache
def kernel_cells() -> dict[str, KernelCell]:
    """Return the cells that the compiled kernels have, by name; none without the kernels."""
    kernels, cells = library(), dict[str, KernelCell]()
    if kernels is not None:
        kernels.tagbelt_cell.restype = ctypes.POINTER(_CellRow)
        while row := kernels.tagbelt_cell(len(cells)):
            found = row.contents
            sigmoids = tuple(gate for gate in range(found.gates) if found.sigmoids >> gate & 1)
            cells[found.name.decode()] = KernelCell(len(cells), found.gates, sigmoids)
    return cells


class QuantisedNetwork:
    """Emissions of rows of bytes; safe to use from several threads.

    `weights` are those of `network.int8.safetensors`: `cell`, the bytes of a name of cells.h, which
    old files lack; `bound` [1]; per layer i from 0 `i.weight` int8 [D, G, H, I + H] with `i.scale`
    and `i.bias` [D, G, H], perhaps `i.peephole` [D, G - 1, H]; `tags.weight` [K, D*H] and
    `tags.bias` [K]. With self-attention of A heads, `heads.weight` int8 [2, A, S, D*H] with
    `heads.scale` and `heads.bias` [2, A, S] are those of queries and keys, and `heads.values`
    [A, K, D*H] what a token's state adds to the scores of who attends to it: see attention.h.
    """

    def __init__(self, weights: Weights, *, tier: str | None = None) -> None:
        """`tier` None is the fastest here.

        Raises ValueError for one that can't run here, and for arrays of other shapes or types.
        """
        kernels, here = library(), tiers()
        if kernels is None:
            raise ValueError("the compiled kernels are not there")
        if tier is not None and tier not in here:
            raise ValueError(f"this processor has no tier {tier}, only {', '.join(here)}")
        _check(weights)
        self.tier = tier or here[0]
        self.bound = float(weights["bound"][0])
        self.scale = LIMIT / self.bound
        _, _, hidden, columns = weights["0.weight"].shape
        self.inputs = columns - hidden
        self.tags = len(weights["tags.bias"])
        self._kept: list[object] = []  # what the structures point into
        self._network = self._build(weights)
        self._local = threading.local()
        self._emissions, self._scratch = kernels.tagbelt_emissions, kernels.tagbelt_scratch
        self._scratch.restype = ctypes.c_int64
        pointers, numbers, counts = ctypes.c_void_p, ctypes.c_int32, ctypes.c_int64
        self._scratch.argtypes = (ctypes.POINTER(_Network), counts, numbers, numbers)
        self._emissions.restype = None
        self._emissions.argtypes = (
            *(ctypes.POINTER(_Network), numbers, pointers, counts, pointers, pointers, numbers),
            *(pointers, pointers),
        )

    def row_bytes(self, vectors: Floats) -> Bytes:
        """Vectors [n, I] as bytes [n, I], clipped to the bound."""
        scaled = np.clip(vectors * self.scale, -LIMIT, LIMIT)
        rows: Bytes = (np.rint(scaled) + ZERO).astype(np.uint8)
        return rows

    def emissions(self, table: Bytes, rows: IntArray, lengths: IntArray) -> Floats:
        """Scores [T, B, K] of B >= 1 sentences, longest first; 0 behind a sentence's end.

        `rows` [T, B] name rows of `table` [n, I], any row behind an end.
        Raises ValueError for what does not fit together.
        """
        steps, sentences = rows.shape
        if table.shape[1:] != (self.inputs,) or table.dtype != np.uint8:
            raise ValueError(f"rows are {table.dtype} {table.shape[1:]}, not bytes [{self.inputs}]")
        if not _falling(lengths, steps, sentences):
            raise ValueError(f"{len(lengths)} lengths do not fall from {steps} to at least 1")
        table, rows = np.ascontiguousarray(table), np.ascontiguousarray(rows, np.int64)
        if rows.view(np.uint64).max() >= len(table):  # those below 0 are the largest
            raise ValueError(f"a row outside a table of {len(table)}")
        lengths = np.ascontiguousarray(lengths, np.int32)
        scores = np.zeros((steps, sentences, self.tags), np.float32)
        self._emissions(
            self._network,
            TIERS.index(self.tier),
            address(table),
            len(table),
            address(rows),
            address(lengths),
            sentences,
            address(scores),
            self._room(len(table), steps, sentences),
        )
        return scores

    def _room(self, forms: int, steps: int, sentences: int) -> int:
        """Address of this thread's memory to work in, which grows to what was needed most."""
        size = self._scratch(self._network, forms, steps, sentences)
        room: Bytes | None = getattr(self._local, "room", None)
        if room is None or len(room) < size:
            room = self._local.room = np.empty(size, np.uint8)
        return address(room)

    def _build(self, weights: Weights) -> _Network:
        layers = [self._layer(i, weights) for i in range(_layers(weights))]
        last, heads, pairs = weights[f"{len(layers) - 1}.weight"], 0, _Linear()
        scores, bias = weights["tags.weight"], weights["tags.bias"]
        if _HEADS in weights:
            levels = weights[_HEADS]
            heads, width = levels.shape[1], levels.shape[-1]
            scale, shift = (weights[f"heads.{part}"].ravel() for part in ("scale", "bias"))
            levels = _spread(levels.reshape(-1, width), last)
            pairs = self._linear(levels[None], scale[None].astype(np.float64), shift)
            values = weights["heads.values"].reshape(-1, width)
            scores = np.concatenate((scores, values))
            bias = np.concatenate((bias, np.zeros(len(values), np.float32)))
        packed = (_Layer * len(layers))(*layers)
        levels, scales = _high_and_low(_spread(scores, last))
        return _Network(
            len(layers), self.tags, heads, packed, self._linear(levels, scales, bias), pairs
        )

    def _linear(self, levels: NDArray[np.int8], scales: Array, bias: Floats) -> _Linear:
        """Pack weights of states, bytes [n, K, S] with scales [n, K], n bytes a weight."""
        shift = ZERO * (levels.sum(2, dtype=np.int64) * scales).sum(0)
        tiles = self._tiles(levels[None])  # as [D, G, H, I]
        parts = (tiles, _gate_blocks(scales[None]), _blocks(bias - shift))
        return _Linear(
            len(bias),
            tiles.shape[1],
            _chunks(levels.shape[2]),
            len(levels),
            *map(self._pointer, parts),
            self._start(levels[None]),
        )

    def _layer(self, index: int, weights: Weights) -> _Layer:
        weight = weights[f"{index}.weight"]
        directions, _, hidden, _ = weight.shape
        inputs, states = weight[..., :-hidden], weight[..., -hidden:]
        if index:  # reads the padded states of the layer before
            inputs = _spread(inputs, weights[f"{index - 1}.weight"])
        room = _blocks(states)
        parts = (room.reshape(*room.shape[:3], -1).astype(np.int8), inputs)
        levels = np.concatenate(parts, axis=3)
        return _Layer(
            _cell(weights).number,
            directions,
            -(-hidden // LANES),
            inputs.shape[3],
            _chunks(levels.shape[3]),
            hidden,
            self._pointer(self._tiles(levels)),
            *(self._pointer(array) for array in _pack_gates(weights, index)),
            (ctypes.c_void_p * 3)(*map(self._start, (levels, *parts))),
        )

    def _tiles(self, levels: NDArray[np.int8]) -> NDArray[np.int8]:
        """[D, G, H, I] -> [D, U, G, I / n, 16, n]: n inputs of sixteen units are neighbours."""
        directions, gates, hidden, inputs = levels.shape
        units, chunks = -(-hidden // LANES), _chunks(inputs)
        padded = np.zeros((directions, gates, units * LANES, chunks * CHUNK), np.int8)
        padded[:, :, :hidden, :inputs] = levels
        split = padded.reshape(directions, gates, units, LANES, -1, _NEIGHBOURS.get(self.tier, 4))
        return np.ascontiguousarray(split.transpose(0, 2, 1, 4, 3, 5))

    def _start(self, levels: NDArray[np.int8]) -> int | None:
        """Address of what the sums start from in this tier, [D, U, G, n, 16] of int32."""
        starts = [_gate_blocks(of(levels), np.int32) for of in _STARTS.get(self.tier, ())]
        return self._pointer(np.stack(starts, axis=3)) if starts else None

    def _pointer(self, array: Array | None) -> int | None:
        if array is None:
            return None
        kept = _aligned(array)
        self._kept.append(kept)
        return int(kept.ctypes.data)


def _check(weights: Weights) -> None:
    """Raise ValueError unless all arrays fit each other: the kernels would read beyond them."""
    layers = _layers(weights)
    parts = ("weight", "scale", "bias", "peephole")
    known = {"cell", "bound", "tags.weight", "tags.bias"}
    known |= {f"heads.{part}" for part in ("weight", "scale", "bias", "values")}
    known |= {f"{index}.{part}" for index in range(layers) for part in parts}
    for name in sorted(weights.keys() - known):
        raise ValueError(f"{name} belongs to no layer of {layers}")
    if layers < 1:
        raise ValueError("0.weight is missing")
    _check_array(weights, "bound", np.float32, (1,))
    if weights["bound"][0] <= 0:
        raise ValueError(f"bound is {weights['bound'][0]}, expected more than 0")
    width = None  # of the states below, which the first layer does not read
    for index in range(layers):
        name = f"{index}.weight"
        if name not in weights or weights[name].ndim != 4:
            raise ValueError(f"{name} is no array [D, G, H, I + H]")
        directions, gates, hidden, columns = weights[name].shape
        inputs = columns - hidden if width is None else width
        if directions not in (1, 2) or gates != _cell(weights).gates or hidden < 1 or inputs < 1:
            raise ValueError(f"{name} has shape {weights[name].shape}: no cell is like that")
        _check_array(weights, name, np.int8, (directions, gates, hidden, inputs + hidden))
        for part in ("scale", "bias"):
            _check_array(weights, f"{index}.{part}", np.float32, (directions, gates, hidden))
        if f"{index}.peephole" in weights:
            shape = (directions, gates - 1, hidden)
            _check_array(weights, f"{index}.peephole", np.float32, shape)
        width = directions * hidden
    tags = len(weights["tags.weight"])
    _check_array(weights, "tags.weight", np.float32, (tags, width))
    _check_array(weights, "tags.bias", np.float32, (tags,))
    if not any(name.startswith("heads.") for name in weights):
        return
    heads, size = (
        weights[_HEADS].shape[1:3] if _HEADS in weights and weights[_HEADS].ndim == 4 else (1, 1)
    )
    _check_array(weights, _HEADS, np.int8, (2, heads, size, width))
    for part in ("scale", "bias"):
        _check_array(weights, f"heads.{part}", np.float32, (2, heads, size))
    _check_array(weights, "heads.values", np.float32, (heads, tags, width))


def _check_array(weights: Weights, name: str, kind: type, shape: tuple[int | None, ...]) -> None:
    if name not in weights:
        raise ValueError(f"{name} is missing")
    array = weights[name]
    if array.dtype != kind or array.shape != shape:
        expected = f"{np.dtype(kind)} {list(shape)}"
        raise ValueError(f"{name} is {array.dtype} {list(array.shape)}, expected {expected}")
    if kind is np.int8 and array.min() < -LIMIT:
        raise ValueError(f"{name} has {array.min()}, expected at least {-LIMIT}")


def _pack_gates(weights: Weights, index: int) -> tuple[Floats, Floats, Floats | None]:
    """Scale, bias and peepholes of `struct layer`."""
    weight, scale = weights[f"{index}.weight"], weights[f"{index}.scale"]
    halves = np.ones((weight.shape[1], 1), np.float32)
    halves[list(_cell(weights).sigmoids)] = 0.5
    scale = scale * halves
    shift = ZERO * weight.sum(3, dtype=np.int64) * scale.astype(np.float64)
    bias = weights[f"{index}.bias"] * halves - shift
    peephole = weights.get(f"{index}.peephole")
    return (
        _gate_blocks(scale),
        _gate_blocks(bias),
        None if peephole is None else _gate_blocks(peephole * np.float32(0.5)),
    )


def _high_and_low(weight: Floats) -> tuple[NDArray[np.int8], Array]:
    """Weights [K, S] of states as high and low bytes [2, K, S], and their scales [2, K]."""
    scale = np.abs(weight).max(axis=1).astype(np.float64) / LIMIT
    scale[scale == 0.0] = 1.0
    high = np.rint(weight / scale[:, None])
    fine = scale / (2 * LIMIT)  # what is left is at most half a step
    low = np.rint((weight - high * scale[:, None]) / fine[:, None])
    return np.stack((high, low)).astype(np.int8), np.stack((scale, fine)) / LIMIT


def _minus_pair_products(levels: NDArray[np.int8]) -> Array:
    """[D, G, H, I] -> [D, G, H], the products of neighbouring weights: see tier_avx2.c."""
    wide = np.pad(levels, [(0, 0)] * 3 + [(0, levels.shape[3] % 2)]).astype(np.int32)
    products: Array = -(wide[..., ::2] * wide[..., 1::2]).sum(3, dtype=np.int32)
    return products


def _zero_products(levels: NDArray[np.int8]) -> Array:
    """[D, G, H, I] -> [D, G, H], what rows of ZERO add up to: for tiers of signed bytes."""
    sums: Array = ZERO * levels.sum(3, dtype=np.int32)
    return sums


_STARTS: dict[str, tuple[Callable[[NDArray[np.int8]], Array], ...]] = {
    "avx2": (_minus_pair_products, _zero_products),
    "neon": (_zero_products,),
    "neondot": (_zero_products,),
}
_NEIGHBOURS = {"neoni8mm": 8}
"""How many inputs of a unit stand side by side; 4 unless given."""


def _gate_blocks(values: Array, kind: type = np.float32) -> Array:
    """[D, G, H] -> [D, U, G, 16]."""
    return np.ascontiguousarray(_blocks(values, kind).swapaxes(1, 2))


def _blocks(values: Array, kind: type = np.float32) -> Array:
    """[..., H] -> [..., U, 16], zeros at the end."""
    units = -(-values.shape[-1] // LANES)
    padded = np.zeros((*values.shape[:-1], units * LANES), kind)
    padded[..., : values.shape[-1]] = values
    return padded.reshape(*values.shape[:-1], units, LANES)


def _spread(weight: Array, layer: Array) -> Array:
    """Weights [..., D*H] of the states of a layer with weights [D, G, H, I + H] -> [..., D*U*16].

    There every direction's units are followed by zeros up to a whole block.
    """
    directions, _, hidden, _ = layer.shape
    blocks = _blocks(weight.reshape(*weight.shape[:-1], directions, hidden))
    return blocks.reshape(*weight.shape[:-1], -1).astype(weight.dtype)


def _aligned(array: Array) -> Array:
    """A contiguous copy that starts at a cache line: a load must not need two of them."""
    room = np.empty(array.nbytes + CHUNK, np.uint8)
    start = -room.ctypes.data % CHUNK
    copy = room[start : start + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[...] = array
    return copy


def _layers(weights: Weights) -> int:
    return sum(name.endswith(".weight") and name[0].isdigit() for name in weights)


def _cell(weights: Weights) -> KernelCell:
    """Find the cell of all layers.

    Raises ValueError for one that the kernels lack.
    """
    name = weights["cell"].tobytes().decode("ascii", "replace") if "cell" in weights else None
    cells = kernel_cells()
    if name is not None and name not in cells:
        raise ValueError(f"cell is {name!r}, the kernels here have {', '.join(cells)}")
    return cells[name or _guessed(weights["0.weight"])]


def _guessed(weight: Array) -> str:
    """Name the cell of a first layer [D, G, H, I + H] of a file that does not.

    Raises ValueError for gates that no cell had when files had no name.
    """
    gates, hidden = weight.shape[1:3]
    if gates not in _CELL_OF:
        raise ValueError(f"0.weight has {gates} gates: no cell is like that")
    gru = gates == 4 and not weight[:, 2, :, -hidden:].any() and not weight[:, 3, :, :-hidden].any()
    return "gru" if gru else _CELL_OF[gates]


def _chunks(inputs: int) -> int:
    return -(-inputs // CHUNK)


def _falling(lengths: IntArray, steps: int, sentences: int) -> bool:
    if lengths.shape != (sentences,) or sentences == 0:
        return False
    ordered = sentences == 1 or bool((lengths[1:] <= lengths[:-1]).all())
    return ordered and int(lengths[0]) == steps and int(lengths[-1]) >= 1
