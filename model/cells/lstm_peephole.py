"""The LSTM whose gates see the cell."""

from tagbelt.model.cells.lstm import Lstm


class PeepholeLstm(Lstm):
    """An LSTM with peepholes (Gers & Schmidhuber 2000); the LSTM's kernel computes it."""

    always_peephole = True
