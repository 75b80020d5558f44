"""The LSTM whose input gate is what the forget gate leaves."""

import numpy as np

from tagbelt.model.cells.layer import Floats
from tagbelt.model.cells.lstm import Lstm


class CoupledLstm(Lstm):
    """An LSTM with coupled gates, i = 1 - f (Greff et al. 2015).

    With peepholes it is the LSTM of Lample et al. 2016.
    """

    kernel = "lstm-coupled"
    coupled = True

    @staticmethod
    def onnx_order(gates: Floats) -> Floats:
        """Reorder [D, 3, H, I]: g, f, o -> i, o, (unused), g.

        ONNX Runtime couples as f = 1 - i; our i = 1 - f is that cell with f's gate negated.
        """
        g, f, o = (gates[:, index] for index in range(3))
        return np.stack((-f, o, np.zeros_like(f), g), axis=1)
