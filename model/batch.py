"""A batch in the layout that the whole network works on: packed time-major rows."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import accumulate, chain
from typing import TYPE_CHECKING, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from tagbelt.data.checkpoint.bigrams import UNKNOWN_PAIR
from tagbelt.data.checkpoint.vocabulary import UNKNOWN, Vocabulary, pad, shape_id
from tagbelt.data.lexicon.covering import Covers
from tagbelt.model.cells.packed import batch_sizes, packed_order, sequence_of_rows

if TYPE_CHECKING:
    from tagbelt.data.checkpoint.form_table import FormTable


@dataclass(frozen=True)
class ExpectedTags:
    """Expected counts of the tags of a batch, on the CPU in float64.

    `marginals` [N, K] at each token, in packed rows that sum to 1; `steps` [K, K] (from, to) one
    behind the other, in all sentences together. Those of gold tags are ones and whole numbers.
    """

    marginals: Tensor
    steps: Tensor


class CoveringWords(NamedTuple):
    """The words [M] that cover N rows and their weights [M], those of each of the four sets of a
    row from `starts` [4 N] on (see `tagbelt.data.lexicon.covering`).
    """

    words: Tensor
    weights: Tensor
    starts: Tensor

    def to(self, device: torch.device) -> Self:
        """Return them on a device."""
        return type(self)(*(values.to(device, non_blocking=True) for values in self))

    def of(self, rows: Tensor) -> Self:
        """Return those of the rows [n]."""
        sets = (4 * rows[:, None] + torch.arange(4, device=rows.device)).flatten()  # [4 n]
        ends = torch.cat((self.starts[1:], self.starts.new_tensor([len(self.words)])))
        counts = (ends - self.starts)[sets]
        starts = (counts.cumsum(0) - counts).to(counts.dtype)
        moved = torch.repeat_interleave(self.starts[sets] - starts, counts)
        places = moved + torch.arange(len(moved), device=rows.device)
        return type(self)(self.words[places], self.weights[places], starts)


@dataclass(frozen=True)
class Share:
    """What of a whole batch a part of it has, for chance is drawn as for the whole one.

    `sentences` [b] of all `sentence_count`, and `forms` [f], are the places of the part's own;
    `form_characters` [F, C] are those of all forms. `weight` is the part's in the loss.
    """

    sentences: Tensor
    sentence_count: int
    forms: Tensor
    form_characters: Tensor
    weight: float

    @property
    def form_places(self) -> tuple[Tensor, int]:
        """The forms of the part, and how many the whole batch has."""
        return self.forms, len(self.form_characters)


@dataclass(frozen=True)
class Batch:
    """Sentences, longest first, their tokens as rows ordered by position, then by sentence.

    N tokens, F distinct forms, B sentences, T the longest length:

    `row_forms` [N] the form of each row; `form_words` [F], `form_characters` [F, C] padded with
    0, `form_lengths` [F] characters, `form_shapes` [F]; `batch_sizes` [T] sentences still alive
    at each position (on the CPU, as torch wants it); `tags` [N] gold tag ids or None; `index`
    [B] where each sentence stood in the input. Where the network has them, `row_bigrams` [N] is
    the pair that each row makes with the next token, `row_flags` uint8 [N, L] its flags, and
    `covers` the words that cover it; `form_vectors` [F, S] are those that tables give each form.
    `expected` tags are there where training is to come near to them, not to the gold ones;
    `allowed` bool [N, K] where a row may have other tags than its gold one as well; `share` where
    the batch is a `part` of another.
    """

    row_forms: Tensor
    form_words: Tensor
    form_characters: Tensor
    form_lengths: Tensor
    form_shapes: Tensor
    batch_sizes: Tensor
    index: Tensor
    tags: Tensor | None = None
    row_bigrams: Tensor | None = None
    row_flags: Tensor | None = None
    covers: CoveringWords | None = None
    form_vectors: Tensor | None = None
    expected: ExpectedTags | None = None
    allowed: Tensor | None = None
    share: Share | None = None

    @property
    def sentence_count(self) -> int:
        """B, the number of sentences."""
        return len(self.index)

    @property
    def token_count(self) -> int:
        """N, the number of tokens."""
        return len(self.row_forms)

    def to(self, device: torch.device) -> Self:
        """Return the batch on a device; what the CRF reads stays on the CPU, but for `tags`."""
        if device.type == "cpu":
            return self
        staying = ("batch_sizes", "index", "expected", "allowed", "covers")
        moved = {k: v for k, v in vars(self).items() if v is not None and k not in staying}
        tensors = {name: value.to(device, non_blocking=True) for name, value in moved.items()}
        covers = None if self.covers is None else self.covers.to(device)
        return replace(self, **tensors, covers=covers)

    def part(self, number: int, count: int) -> "Batch":
        """Return the part `number` of `count`, as long as the others: sentences number, + count ...

        The losses of all parts add up to that of the batch, in training too. A part without
        sentences has one all the same, with weight 0. The batch is none with `expected` tags.
        """
        places = torch.arange(self.sentence_count)[number::count]
        weight = len(places) / self.sentence_count
        places = places if len(places) else torch.zeros(1, dtype=torch.long)
        here = torch.isin(sequence_of_rows(self.batch_sizes), places).nonzero()[:, 0]  # [n]
        rows = here.to(self.row_forms.device)
        forms, row_forms = torch.unique(self.row_forms[rows], return_inverse=True)
        sizes = self.form_lengths[forms]
        steps = torch.repeat_interleave(torch.arange(len(self.batch_sizes)), self.batch_sizes)
        return Batch(
            row_forms=row_forms,
            form_words=self.form_words[forms],
            form_characters=self.form_characters[forms, : int(sizes.max())],
            form_lengths=sizes,
            form_shapes=self.form_shapes[forms],
            batch_sizes=torch.bincount(steps[here]),
            index=self.index[places],
            tags=_taken(self.tags, rows),
            row_bigrams=_taken(self.row_bigrams, rows),
            row_flags=_taken(self.row_flags, rows),
            covers=None if self.covers is None else self.covers.of(rows),
            form_vectors=_taken(self.form_vectors, forms),
            allowed=_taken(self.allowed, here),
            share=Share(places, self.sentence_count, forms, self.form_characters, weight),
        )


def _taken(values: Tensor | None, places: Tensor) -> Tensor | None:
    return None if values is None else values[places]


@dataclass(frozen=True)
class EncodedVectors:
    """The vectors float16 [F, E] of one source, and with pieces, `means` [F, E] of these."""

    own: Tensor
    means: Tensor | None = None

    def of(self, forms: Tensor, hidden: Tensor | None, piece_rate: float) -> Tensor:
        """Return the vectors [n, E] of `forms` [n], where training may hide them.

        Zeros take the place of those whose words are `hidden`, but for vectors with pieces: of
        these, a share of `piece_rate` is replaced by means, and a hidden word has its vector.
        """
        found = self.own[forms]
        if self.means is not None and piece_rate:
            replaced = torch.rand(len(forms)) < piece_rate
            found[replaced] = self.means[forms[replaced]]
        elif self.means is None and hidden is not None:
            found[hidden] = 0.0
        return found.float()


@dataclass(frozen=True)
class EncodedForms:
    """Every distinct form of a corpus as ids, so that strings are looked at once.

    `words` [F], `characters` [F, C] padded with 0, `lengths` [F], `shapes` [F]; `vectors` of each
    source that training leaves as it is.
    """

    words: Tensor
    characters: Tensor
    lengths: Tensor
    shapes: Tensor
    vectors: tuple[EncodedVectors, ...] = ()


@dataclass(frozen=True)
class EncodedSentences:
    """A corpus as ids: per sentence the rows of its forms [n] and its tag ids [n] or None.

    `bigrams` [n] and `flags` uint8 [n, L] are there if the vocabulary has them, and so are the
    `covers` of all tokens, sentence after sentence. `allowed` bool [n, K] are the tags that each
    token may have, if some sentence leaves that open.
    """

    forms: EncodedForms
    sentences: tuple[Tensor, ...]
    tags: tuple[Tensor, ...] | None
    bigrams: tuple[Tensor, ...] | None = None
    flags: tuple[Tensor, ...] | None = None
    covers: Covers | None = None
    allowed: tuple[Tensor, ...] | None = None

    @cached_property
    def _firsts(self) -> list[int]:
        """The place of each sentence's first token among all."""
        return [0, *accumulate(map(len, self.sentences))]

    def batch(
        self,
        indices: Sequence[int],
        *,
        hide_rates: Tensor | None = None,
        bigram_rates: Tensor | None = None,
        piece_rate: float = 0.0,
    ) -> Batch:
        """Make a batch of the sentences at `indices`; at least one.

        `hide_rates` [F] is how likely each form's word (not its characters) is hidden in this
        batch, `bigram_rates` [P] how likely each pair is at each place, `piece_rate` how likely the
        mean of its pieces stands for a form's vector, for training; chance comes from torch's
        global generator.
        """
        order = sorted(indices, key=lambda i: -len(self.sentences[i]))
        lengths = torch.tensor([len(self.sentences[i]) for i in order])
        packing = packed_order(lengths)

        def packed(parts: tuple[Tensor, ...]) -> Tensor:
            return torch.cat([parts[i] for i in order])[packing]

        rows = packed(self.sentences)
        distinct, row_forms = torch.unique(rows, return_inverse=True)
        forms = self.forms
        words, sizes = forms.words[distinct], forms.lengths[distinct]
        hidden = None
        if hide_rates is not None:
            hidden = torch.rand(len(distinct)) < hide_rates[distinct]
            words = words.masked_fill(hidden, UNKNOWN)
        return Batch(
            row_forms=row_forms,
            form_words=words,
            form_characters=forms.characters[distinct, : int(sizes.max())],
            form_lengths=sizes,
            form_shapes=forms.shapes[distinct],
            batch_sizes=batch_sizes(lengths),
            index=torch.tensor(order),
            tags=None if self.tags is None else packed(self.tags),
            row_bigrams=None
            if self.bigrams is None
            else _with_hidden(packed(self.bigrams), bigram_rates),
            row_flags=None if self.flags is None else packed(self.flags),
            covers=self._covers(order, packing),
            form_vectors=torch.cat([v.of(distinct, hidden, piece_rate) for v in forms.vectors], 1)
            if forms.vectors
            else None,
            allowed=None if self.allowed is None else _unless_certain(packed(self.allowed)),
        )

    def _covers(self, order: Sequence[int], packing: Tensor) -> CoveringWords | None:
        if self.covers is None:
            return None
        firsts = self._firsts
        tokens = np.concatenate([np.arange(firsts[i], firsts[i + 1]) for i in order])
        covers = self.covers.at(tokens[packing.numpy()])
        starts = covers.starts[:-1].astype(np.int32)  # the kind of number that `words` have
        return CoveringWords(*map(torch.from_numpy, (covers.words, covers.weights, starts)))


def _unless_certain(allowed: Tensor) -> Tensor | None:
    """Return None where all rows have one tag: their likelihood is that of the gold tags."""
    return allowed if bool((allowed.sum(1) > 1).any()) else None


def _with_hidden(pairs: Tensor, rates: Tensor | None) -> Tensor:
    if rates is None:
        return pairs
    return pairs.masked_fill(torch.rand(len(pairs)) < rates[pairs], UNKNOWN_PAIR)


def encode(
    sentences: Sequence[Sequence[str]],
    vocabulary: Vocabulary,
    tags: Sequence[Sequence[int]] | None = None,
) -> EncodedSentences:
    """Turn sentences into ids.

    Raises:
        ValueError: a sentence without tokens, or with another number of tags, named by its index.
    """
    if tags is not None and len(tags) != len(sentences):
        raise ValueError(f"{len(sentences)} sentences, but tags of {len(tags)}")
    sentences = [vocabulary.fold(sentence) for sentence in sentences]
    ids: dict[str, int] = {}
    rows = []
    for index, sentence in enumerate(sentences):
        if not sentence or (tags is not None and len(tags[index]) != len(sentence)):
            found = "" if tags is None else f" and {len(tags[index])} tags"
            raise ValueError(f"sentence {index} has {len(sentence)} tokens{found}")
        rows.append(torch.tensor([ids.setdefault(form, len(ids)) for form in sentence]))
    return EncodedSentences(
        forms=encode_forms(list(ids), vocabulary),
        sentences=tuple(rows),
        tags=None if tags is None else tuple(torch.tensor(list(row)) for row in tags),
        **_context(sentences, vocabulary),
        covers=None if vocabulary.lexicon is None else vocabulary.lexicon.covers(sentences),
    )


def _context(
    sentences: Sequence[Sequence[str]], vocabulary: Vocabulary
) -> dict[str, tuple[Tensor, ...]]:
    """Look up bigrams and flags, as far as the vocabulary has them, by their fields' names."""
    lengths = [len(sentence) for sentence in sentences]
    found: dict[str, Tensor] = {}
    if vocabulary.bigrams is not None:
        forms = list(chain.from_iterable(sentences))
        found["bigrams"] = torch.from_numpy(vocabulary.bigrams.ids(forms, lengths))
    if vocabulary.gazetteer is not None:
        found["flags"] = torch.from_numpy(vocabulary.gazetteer.flags(sentences))
    return {name: torch.split(values, lengths) for name, values in found.items()}


def encode_forms(forms: Sequence[str], vocabulary: Vocabulary) -> EncodedForms:
    """Look every form up once."""
    characters = [vocabulary.character_ids(form) for form in forms]
    words = torch.tensor([vocabulary.word_id(form) for form in forms], dtype=torch.long)
    frozen = (table for table in vocabulary.forms if not table.trained)
    return EncodedForms(
        words=words,
        characters=torch.tensor(pad(characters), dtype=torch.long),
        lengths=torch.tensor([len(row) for row in characters], dtype=torch.long),
        shapes=torch.tensor([shape_id(form) for form in forms], dtype=torch.long),
        vectors=tuple(_vectors(table, forms, words) for table in frozen),
    )


def _vectors(table: "FormTable", forms: Sequence[str], words: Tensor) -> EncodedVectors:
    own = torch.from_numpy(table.vectors(forms, words.numpy())).half()
    if table.pieces is None:
        return EncodedVectors(own)
    return EncodedVectors(own, torch.from_numpy(table.pieces.means(forms)).half())
