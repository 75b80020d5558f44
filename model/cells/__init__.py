"""The recurrent cells, one file each, and the table of them by their names in a config."""

from tagbelt.model.cells.gru import Gru
from tagbelt.model.cells.layer import RecurrentCell
from tagbelt.model.cells.lstm import Lstm
from tagbelt.model.cells.lstm_coupled import CoupledLstm
from tagbelt.model.cells.lstm_peephole import PeepholeLstm
from tagbelt.model.cells.mgu import Mgu
from tagbelt.model.cells.rnn import Rnn

CELLS: dict[str, type[RecurrentCell]] = {
    "rnn": Rnn,
    "lstm": Lstm,
    "lstm-peephole": PeepholeLstm,
    "lstm-coupled": CoupledLstm,
    "gru": Gru,
    "mgu": Mgu,
}
