"""Fill the masks of a text by a masked language model."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ..._numpy import log_softmax
from ...data import DataGenerator
from ...data.masking import IGNORED
from ...losses import SparseCategoricalCrossentropy
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, register_task
from ..windows import text_windows
from .answers import FilledText, Filling
from .hiding import Hiding, MaskedRow, Segment, special_ids, word_numbers
from .huggingface import ENDINGS, open_masked_lm, save_masked_lm
from .labels import label_ids
from .places import locate_masks, write_tokens
from .spelling import fill_text, find_masks, token_text

_JOINT = ("iterative", "independent")
_OVERLAP = 0.5  # of windows, so that a mask has at least a quarter of one on either side
MOST = 1 << 27  # scores in a batch of outputs: half a gigabyte

# The most probable tokens for a mask: their ids and log-probabilities, the best first.
_Best = tuple[np.ndarray, np.ndarray]


@register_task
class FillMask(Task[list[Filling] | FilledText]):
    """Masked language model that fills `[MASK]` in a text.

    The answer to a text with one mask is a list of `Filling`, to a text with several masks a
    `FilledText`. Special tokens are never filled in. In a text longer than `maxlen` tokens each
    mask is read in the window that has the most text around it.

    Args:
        tokenizer, model, maxlen: of `Task`; the model's output is scores over the vocabulary,
            (B, T, V), without activation.
        top_k: number of candidates for each mask.
        joint: method to fill several masks. "iterative": fill the mask whose best token is the
            most probable, run the model again, and so on, so that later tokens depend on earlier
            ones. "independent": fill each mask with its best token in one pass.

    Raises:
        TaskError: the tokenizer has no mask token, or the model cannot fill masks.

    Example:
        >>> task = FillMask.build("bert-base-chinese")
        >>> task("北京是中国的首[MASK]。")[0]
        Filling(token='都', score=0.99, start=7, end=13)
        >>> task("北京是中国的[MASK][MASK]。").text
        '北京是中国的首都。'
    """

    architecture = ENDINGS
    loss = SparseCategoricalCrossentropy(from_logits=True)

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        maxlen: int | None = None,
        top_k: int = 5,
        joint: str = "iterative",
    ):
        super().__init__(tokenizer, model, maxlen)
        if tokenizer.mask_token_id is None:
            raise TaskError(
                f"the tokenizer has no mask token (token_mask is {tokenizer.token_mask!r}), so its "
                "model fills no masks."
            )
        shape: tuple[Any, ...] = tuple(getattr(model.output, "shape", ()))
        if len(shape) != 3 or (shape[-1] or 0) < tokenizer.vocab_size:
            raise TaskError(
                f"the model's output has shape {shape}; it must be scores over the "
                f"{tokenizer.vocab_size} tokens, (B, T, V): with_mlm='linear'."
            )
        if self.encoder.mask.is_causal:
            raise TaskError(
                "the model reads from left to right, so a mask does not see the text after it."
            )
        if joint not in _JOINT:
            raise TaskError(f"joint={joint!r} must be one of {', '.join(_JOINT)}.")
        self._excluded = np.ones(shape[-1], bool)
        self._excluded[sorted(tokenizer.vocab.values())] = False
        self._excluded[special_ids(tokenizer)] = True
        most = int((~self._excluded).sum())
        if not 1 <= top_k <= most:
            raise TaskError(f"top_k={top_k} must lie between 1 and {most}, the number of tokens.")
        self.top_k, self.joint = top_k, joint

    @classmethod
    def build(
        cls,
        checkpoint: Any,
        maxlen: int | None = None,
        tokenizer: TokenizerBase | None = None,
        top_k: int = 5,
        joint: str = "iterative",
        **options: Any,
    ) -> FillMask:
        """Open a pretrained masked language model.

        Args:
            checkpoint: directory, `hf://org/name`, or a `Backbone` built `with_mlm="linear"`, for
                which `tokenizer` is given.
            maxlen: as in `Task`.
            tokenizer: in place of the checkpoint's own.
            top_k, joint: as in the class.
            **options: of `build_transformer_model`. `ignore=("MLM-*",)` starts the head from
                random weights where a checkpoint has none.
        """
        return cls(*open_masked_lm(checkpoint, tokenizer, options), maxlen, top_k, joint)

    @classmethod
    def from_huggingface(cls, directory: str | Path, **options: Any) -> FillMask:
        """Read a checkpoint of transformers (`...ForMaskedLM`, `...ForPreTraining`)."""
        return cls.build(directory, **options)

    def save_huggingface(self, directory: str | Path) -> None:
        """Write model and tokenizer so that transformers opens them as `...ForMaskedLM`."""
        save_masked_lm(self.model, directory)
        self.tokenizer.save(directory)

    # From a text to its fillings

    def encode(self, sample: str) -> Encoded:
        """Encode a text with masks; windows without one are left out.

        Raises:
            TaskError: there is no mask in it.
        """
        if not isinstance(sample, str):
            raise TypeError(f"A text must be str, got {type(sample).__name__}.")
        text, spans = find_masks(sample, str(self.tokenizer.token_mask))
        if not spans:
            raise TaskError(
                f"{sample!r:.60} has no mask; write [MASK] in the place of each token that is to "
                "be filled in."
            )
        windows = text_windows(self.tokenizer, text, None, self.maxlen, _OVERLAP, special=True)
        windows, masks = locate_masks(spans, windows, self.tokenizer.token_mask_id)
        if len(masks.places) != len(spans):
            raise TaskError(
                f"the tokenizer finds {len(masks.places)} of the {len(spans)} masks of "
                f"{sample!r:.60}."
            )
        rows = [self.encoder.select(w.token_ids, w.segment_ids) for w in windows]
        return Encoded(sample, rows, extra=masks)

    def predict(
        self, samples: Iterable[str], batch_size: int = 64, progress: bool | None = None
    ) -> list[list[Filling] | FilledText]:
        """Fill the masks of many texts, in their order; arguments as in `Task.predict`."""
        encoded = [self.encode(sample) for sample in samples]
        first = self._read(encoded, batch_size, progress)
        answers = [self.decode(x, one) for x, one in zip(first, encoded, strict=True)]
        if self.joint == "iterative":
            several = [i for i, one in enumerate(encoded) if len(one.extra.spans) > 1]
            texts, outputs = [encoded[i] for i in several], [first[i] for i in several]
            chosen = self._fill_in_turn(texts, outputs, batch_size)
            for i, filled in zip(several, chosen, strict=True):
                before = answers[i]
                if isinstance(before, FilledText):
                    answers[i] = self._answer(encoded[i], filled, before.candidates)
        return answers

    def decode(
        self, outputs: Sequence[dict[int, _Best]], encoded: Encoded
    ) -> list[Filling] | FilledText:
        """Return the fillings after one pass: candidates for each mask, and the best ones together.

        Args:
            outputs: by window, the most probable tokens by position of a mask.
            encoded: of `encode`.
        """
        each = self._of_masks(outputs, encoded)
        candidates = tuple(
            tuple(
                self._filling(encoded, k, int(i), float(logp))
                for i, logp in zip(*best, strict=True)
            )
            for k, best in enumerate(each)
        )
        if len(each) == 1:
            return list(candidates[0])
        filled = {k: (int(ids[0]), float(logps[0])) for k, (ids, logps) in enumerate(each)}
        return self._answer(encoded, filled, candidates)

    def _filling(self, encoded: Encoded, mask: int, token_id: int, logp: float) -> Filling:
        text, spans = encoded.sample, encoded.extra.spans
        whole = fill_text(self.tokenizer, text, spans, {mask: token_id})
        token = token_text(self.tokenizer, token_id)
        start, end = spans[mask]
        return Filling(token, math.exp(logp), start, end, whole, token_id)

    def _answer(
        self, encoded: Encoded, filled: dict[int, tuple[int, float]], candidates: tuple
    ) -> FilledText:
        """Return all masks filled: (token id, log-probability) by number of the mask."""
        ids = {k: token_id for k, (token_id, _) in filled.items()}
        text = fill_text(self.tokenizer, encoded.sample, encoded.extra.spans, ids)
        score = math.exp(sum(logp for _, logp in filled.values()))
        fillings = tuple(self._filling(encoded, k, *filled[k]) for k in range(len(filled)))
        return FilledText(text, score, fillings, candidates)

    def _fill_in_turn(
        self, encoded: list[Encoded], outputs: list, batch_size: int
    ) -> list[dict[int, tuple[int, float]]]:
        """Fill the mask with the most probable token in each text, until all are filled."""
        filled: list[dict[int, tuple[int, float]]] = [{} for _ in encoded]
        waiting = list(range(len(encoded)))
        while waiting:
            for t, found in zip(waiting, outputs, strict=True):
                each = self._of_masks(found, encoded[t])
                highest = [logps[0] for _, logps in each]
                masks = (k for k in range(len(each)) if k not in filled[t])
                first = max(masks, key=highest.__getitem__)
                ids, logps = each[first]
                filled[t][first] = int(ids[0]), float(logps[0])
            waiting = [t for t in waiting if len(filled[t]) < len(encoded[t].extra.spans)]
            texts = [
                write_tokens(encoded[t], {k: i for k, (i, _) in filled[t].items()}) for t in waiting
            ]
            outputs = self._read(texts, batch_size, False)
        return filled

    def _of_masks(self, outputs: Sequence[dict[int, _Best]], encoded: Encoded) -> list[_Best]:
        return [outputs[w][position] for w, position in encoded.extra.places]

    def _read(
        self, encoded: Sequence[Encoded], batch_size: int, progress: bool | None
    ) -> list[list[dict[int, _Best]]]:
        """Return for each text and window the most probable tokens by position of a mask."""
        rows = [row for one in encoded for row in one.rows]
        positions = [list(masks) for one in encoded for masks in one.extra.numbers]

        def keep(scores: np.ndarray, i: int) -> dict[int, _Best]:
            return {p: self._best(scores[p]) for p in positions[i]}

        found = iter(self._run(rows, batch_size, progress, keep))
        return [[next(found) for _ in one.rows] for one in encoded]

    def _best(self, scores: np.ndarray) -> _Best:
        """Return the `top_k` most probable tokens by the scores (V,) of a position."""
        logps = _log_probabilities(scores)
        logps[self._excluded] = -np.inf
        some = np.argpartition(-logps, self.top_k - 1)[: self.top_k]
        order = some[np.lexsort((some, -logps[some]))]
        return order, logps[order]

    def _parts(self, rows: Sequence[tuple], batch_size: int) -> Iterator[list[int]]:
        """Split rows into batches: fewer rows if they are long and the vocabulary is large."""
        for part in super()._parts(rows, batch_size):
            length = max(len(rows[i][0]) for i in part)
            size = max(1, MOST // (length * len(self._excluded)))
            yield from (part[i : i + size] for i in range(0, len(part), size))

    # Training and evaluation

    def batches(
        self,
        samples: Sequence[str | tuple[str, str | Sequence[str]]],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        rate: float = 0.15,
        whole_words: bool | Segment = False,
        **options: Any,
    ) -> DataGenerator:
        """Return batches for `model.fit`.

        Args:
            samples: texts, with other tokens hidden in each epoch; or pairs (text with masks, its
                label or labels), as in prompt-based training.
            batch_size, shuffle, **options: of `DataGenerator`.
            seed: seed of the order and of the hidden tokens.
            rate: share of the words that are hidden.
            whole_words: hide all tokens of a word together. True: a word is a run of letters and
                digits, or one Chinese character. Or a function text -> words, a segmenter.
        """
        rows = self._rows(samples, whole_words)
        hide = Hiding(self.tokenizer, rate, seed)

        def encode(row: MaskedRow) -> tuple[Any, np.ndarray]:
            ids, labels = hide(row)
            return self._structured([ids, *map(np.asarray, row.inputs[1:])]), labels

        return DataGenerator(
            rows,
            batch_size,
            encode=encode,
            shuffle=shuffle,
            seed=seed,
            pad_value=self.encoder.padding,
            cache=False,
            **options,
        )

    def evaluate(
        self,
        samples: Iterable[str | tuple[str, str | Sequence[str]]],
        batch_size: int = 64,
        rate: float = 0.15,
        seed: int = 0,
        whole_words: bool | Segment = False,
    ) -> dict[str, float]:
        """Return the accuracy of the best token, and perplexity, over masks.

        Args:
            samples: as in `batches`. In texts without labels every chosen token is masked.
            batch_size: as in `predict`.
            rate, seed, whole_words: as in `batches`.
        """
        rows, hide = self._rows(list(samples), whole_words), Hiding(self.tokenizer, rate, seed)
        pairs = [hide(row, mask_all=True) for row in rows]
        asked = [i for i, (_, labels) in enumerate(pairs) if (labels != IGNORED).any()]
        if not asked:
            raise TaskError("evaluate() got nothing to find: give more texts, or a higher rate.")

        def keep(scores: np.ndarray, i: int) -> tuple[int, float, int]:
            labels = pairs[asked[i]][1]
            (at,) = np.nonzero(labels != IGNORED)
            logps = _log_probabilities(scores[at])
            right = int((logps.argmax(axis=-1) == labels[at]).sum())
            return right, float(logps[np.arange(len(at)), labels[at]].sum()), len(at)

        given = [(pairs[i][0].tolist(), *rows[i].inputs[1:]) for i in asked]
        right, total, count = map(sum, zip(*self._run(given, batch_size, None, keep), strict=True))
        return {"accuracy": right / count, "perplexity": math.exp(min(-total / count, 700))}

    def _rows(self, samples: Sequence[Any], whole_words: bool | Segment) -> list[MaskedRow]:
        """Return the windows of texts, or those of texts with labels."""
        rows: list[MaskedRow] = []
        for sample in samples:
            if not isinstance(sample, str):
                rows += self._labelled(*sample)
                continue
            for window in text_windows(self.tokenizer, sample, maxlen=self.maxlen):
                words = None
                if whole_words:
                    segment = whole_words if callable(whole_words) else None
                    words = word_numbers(sample, window.offsets, segment)
                inputs = self.encoder.select(window.token_ids, window.segment_ids)
                rows.append(MaskedRow(inputs, words))
        return rows

    def _labelled(self, text: str, label: str | Sequence[str]) -> list[MaskedRow]:
        """Return the windows of a text with masks, and what each mask should become."""
        encoded = self.encode(text)
        ids = label_ids(self.tokenizer, text, encoded.extra.spans, label)
        labels = [np.full(len(row[0]), IGNORED, "int32") for row in encoded.rows]
        for (w, position), i in zip(encoded.extra.places, ids, strict=True):
            labels[w][position] = i
        return [MaskedRow(x, labels=y) for x, y in zip(encoded.rows, labels, strict=True)]

    def get_config(self) -> dict[str, Any]:
        return {**super().get_config(), "top_k": self.top_k, "joint": self.joint}


def _log_probabilities(scores: np.ndarray) -> np.ndarray:
    """Return log-probabilities over the last axis, in float64.

    Raises:
        TaskError: scores that are no numbers.
    """
    scores = np.asarray(scores, "float64")
    if not np.isfinite(scores).all():
        raise TaskError("the model's scores are no numbers; was its training stable?")
    return log_softmax(scores)
