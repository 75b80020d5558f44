"""The network behind the word vectors with weights of 8 bits, for the kernels in C."""

import numpy as np
import torch
from numpy.typing import NDArray

from tagbelt.model.cells.layer import PackedLstm, RecurrentLayer
from tagbelt.model.export.onnx_graph import as_array
from tagbelt.model.network import Network

LIMIT = 127

Floats = NDArray[np.float32]
Arrays = dict[str, NDArray[np.generic]]


def quantised_network(network: Network, *, bound: float) -> Arrays | None:
    """Arrays as `tagbelt.inference.native.quantised.QuantisedNetwork` reads them.

    Inputs are clipped to [-bound, bound]. Weights get one scale an output channel. None for a
    network with self-attention, which has no 8-bit form.
    """
    if network.encoder.attention is not None:
        return None
    arrays: Arrays = {
        "bound": np.array([bound], np.float32),
        "tags.weight": as_array(network.emissions.weight),
        "tags.bias": as_array(network.emissions.bias),
    }
    for index, layer in enumerate(network.encoder.layers):
        assert isinstance(layer, RecurrentLayer)
        # What a later layer reads are states, which are within 1.
        made = _layer_arrays(layer, bound if index == 0 else 1.0)
        arrays |= {f"{index}.{name}": array for name, array in made.items()}
    return arrays


def _layer_arrays(layer: RecurrentLayer, bound: float) -> Arrays:
    """Bytes [D, G, H, I + H], scales and biases of a layer; gates in the order of its weights.

    An output has one scale for its inputs and states: their bytes are multiplied as one row.
    """
    network = layer.network
    if isinstance(network, PackedLstm):
        inputs, states = as_array(network.input_weight), as_array(network.recurrent_weight)
        bias = as_array(network.bias)
    else:
        inputs, states, bias = _torch_weights(network)
    weight = np.concatenate((inputs * bound, states), axis=2)
    scale = np.abs(weight).max(axis=2) / LIMIT
    scale[scale == 0.0] = 1.0
    levels = np.rint(weight / scale[:, :, None]).astype(np.int8)
    shape = (len(weight), -1, layer.hidden)
    arrays: Arrays = {
        "weight": levels.reshape(*shape, weight.shape[2]),
        "scale": scale.reshape(shape) / LIMIT,
        "bias": bias.reshape(shape),
    }
    if isinstance(network, PackedLstm) and network.peephole is not None:
        arrays["peephole"] = as_array(network.peephole)
    return arrays


def _torch_weights(network: torch.nn.RNNBase) -> tuple[Floats, Floats, Floats]:
    """Weights [D, G*H, I] and [D, G*H, H] and biases [D, G*H] of torch's RNN and GRU.

    The last gate of a GRU becomes two: that of the inputs, and that of the states, which r scales.
    """
    suffixes = ("_l0", "_l0_reverse")[: 1 + network.bidirectional]

    def stacked(kind: str) -> Floats:
        return np.stack([as_array(getattr(network, kind + suffix)) for suffix in suffixes])

    inputs, states = stacked("weight_ih"), stacked("weight_hh")
    from_inputs, from_states = stacked("bias_ih"), stacked("bias_hh")
    if network.mode == "GRU":
        last = 2 * network.hidden_size
        none = np.zeros_like(inputs[:, last:]), np.zeros_like(states[:, last:])
        inputs = np.concatenate((inputs, none[0]), axis=1)
        states = np.concatenate((states[:, :last], none[1], states[:, last:]), axis=1)
        zeros = np.zeros_like(from_inputs[:, last:])
        from_inputs = np.concatenate((from_inputs, zeros), axis=1)
        from_states = np.concatenate((from_states[:, :last], zeros, from_states[:, last:]), axis=1)
    return inputs, states, from_inputs + from_states
