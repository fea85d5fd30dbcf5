"""Text generation: language models, seq2seq in one encoder (UniLM), T5."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import keras
import numpy as np
from tqdm import tqdm

from ...data import DataGenerator
from ...generation import BannedTokens, Greedy, stream
from ...losses import SparseCategoricalCrossentropy
from ...tokenizers.base import TokenizerBase
from ..base import PROGRESS_BATCHES, Encoded, Task, TaskError, register_task
from .answers import TextStream
from .metrics import generation_scores
from .perplexity import perplexity
from .prompts import Prompt, PromptEncoder, TrainingRow, generator_kind, most_tokens, never_written
from .scoring import TokenScorer
from .settings import PROCESSORS, STRATEGIES, setting_of, to_values, with_options
from .writing import write

_CONDITION, _DECODER = "Input-Condition", "Decoder-Input-Token"


@register_task
class Generator(Task[Any]):
    """Generator of texts, which continues a prompt or answers it with a new text.

    An encoder-decoder (T5) and a BERT under `application="unilm"` read the prompt and write another
    text. A GPT, or a BERT under `application="lm"`, continues the prompt. A prompt is a text, a
    pair of texts, or a `Prompt`. A prompt that is too long raises an error unless `truncate` tells
    which end to cut.

    Args:
        tokenizer, model: as in `Task`; the model is a `Backbone` with a language-model head.
        maxlen: largest number of tokens of prompt and answer together; with an encoder-decoder, of
            the prompt.
        max_new_tokens: largest number of tokens of an answer, the end token included; None: 64, or
            half of `maxlen` if that is less.
        strategy, processors: of `bert4keras.generation`, such as `BeamSearch(4)`; applied in order.
        truncate: "error"; or "left" or "right", the end at which a prompt (of a pair, the longer
            text) or a target that is too long is cut.
        start_token: begin prompts with the end-of-text token if the tokenizer has no start token;
            GPT-2 was trained so, but transformers does not. An empty prompt always begins so.
        conditions: names of the conditions of a model with conditional norms
            (`layer_norm_cond=len(conditions)`); each prompt then has one of them.

    Raises:
        TaskError: the model cannot write, or options do not fit it.

    Example:
        >>> task = Generator.build("bert", max_new_tokens=32, strategy=BeamSearch(4))
        >>> task.model.compile("adam", task.loss)
        >>> task.model.fit(task.batches([("a long text ...", "its title")]))
        >>> print(task("another text"))
        a title
    """

    architecture = ("LMHeadModel", "ForConditionalGeneration")
    extra_inputs: ClassVar = {_DECODER: None, _CONDITION: 0.0}
    not_exported = "it runs its model once for every token that it writes"

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        maxlen: int | None = None,
        max_new_tokens: int | None = None,
        strategy: Any = None,
        processors: Sequence[Any] = (),
        truncate: str = "error",
        start_token: bool = False,
        conditions: Sequence[str] = (),
    ):
        transformer = getattr(model, "transformer", None)
        if transformer is None:
            raise TaskError(
                f"{type(model).__name__} {model.name!r} is no Backbone; Generator needs a model of "
                "build_transformer_model, which can decode token by token."
            )
        self.kind = generator_kind(transformer)
        super().__init__(tokenizer, model, maxlen)
        heads = transformer.pretraining_heads
        if len(model.outputs) > 1 or not (heads.gives_logits or heads.gives_probabilities):
            raise TaskError(
                "the model's output must be the scores of tokens only: with_mlm='linear' (or True "
                "for probabilities) and no other head."
            )
        self.from_logits = heads.gives_logits
        self.max_new_tokens = most_tokens(max_new_tokens, min(64, self.maxlen // 2))
        self.strategy = setting_of(strategy or Greedy(), STRATEGIES)
        self.processors = [setting_of(value, PROCESSORS) for value in processors]
        self.truncate, self.start_token = truncate, bool(start_token)
        self.conditions = [str(name) for name in conditions]
        width = transformer.config.layer_norm_cond or 0
        if width != len(self.conditions):
            raise TaskError(
                f"there are {len(self.conditions)} conditions, and the model's norms take {width}: "
                "build_transformer_model(..., layer_norm_cond=len(conditions))."
            )
        config = transformer.config
        start = config.extra.get("decoder_start_token_id", config.pad_token_id or 0)
        self._prompts = PromptEncoder(
            tokenizer, self.kind, truncate, self.start_token, start, self.conditions
        )
        self._banned = BannedTokens(never_written(tokenizer, config.vocab_size))
        self._scorer: TokenScorer | None = None
        self._room(self.max_new_tokens)

    @classmethod
    def build(
        cls,
        checkpoint: Any,
        application: str | None = None,
        texts: Iterable[str] | None = None,
        tokenizer: TokenizerBase | None = None,
        options: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> Generator:
        """Build a generator from a pretrained model, whose language-model head may be absent.

        Args:
            checkpoint: directory, `hf://org/name`, a name of `checkpoints.fetch`, or a `Backbone`,
                for which `tokenizer` is given.
            application: "unilm" (the default) or "lm" for an encoder; GPT and T5 have their own.
            texts: keep only the special tokens and those that occur in these texts: the model is
                smaller and faster, and writes no other tokens.
            tokenizer: in place of the checkpoint's own.
            options: options of `build_transformer_model`.
            **settings: arguments of the class.
        """
        from .pretrained import open_generator

        conditions = settings.get("conditions", ())
        tokenizer, model = open_generator(
            checkpoint, application, texts, tokenizer, len(conditions), options or {}
        )
        return cls(tokenizer, model, **settings)

    @property
    def loss(self) -> Any:
        """Cross-entropy of the target tokens; labels below 0 do not count."""
        return SparseCategoricalCrossentropy(from_logits=self.from_logits)

    def get_config(self) -> dict[str, Any]:
        return {
            **super().get_config(),
            "max_new_tokens": self.max_new_tokens,
            "strategy": to_values(self.strategy),
            "processors": [to_values(processor) for processor in self.processors],
            "truncate": self.truncate,
            "start_token": self.start_token,
            "conditions": self.conditions,
        }

    # Writing

    def encode(self, sample: Any, max_new_tokens: int | None = None) -> Encoded:
        """Encode a prompt: a text, a pair of texts, or a `Prompt`."""
        prompt = Prompt.of(sample)
        ids = self._prompts.source(
            prompt, self._room(most_tokens(max_new_tokens, self.max_new_tokens))
        )
        return Encoded(sample, [(ids, self._prompts.condition(prompt))])

    def __call__(self, samples: Any, **how: Any) -> Any:
        """Answer one prompt, or a list of them; `how` as in `predict`."""
        if isinstance(samples, list):
            return self.predict(samples, **how)
        return self.predict([samples], **how)[0]

    def predict(
        self,
        samples: Iterable[Any],
        batch_size: int = 64,
        progress: bool | None = None,
        *,
        max_new_tokens: int | None = None,
        strategy: Any = None,
        processors: Sequence[Any] | None = None,
        n: int | None = None,
        seed: int | None = None,
    ) -> list[Any]:
        """Answer many prompts, in their order.

        Args:
            samples: prompts.
            batch_size: number of prompts per batch; prompts of similar length share a batch.
            progress: show a progress bar; None: only for long work.
            max_new_tokens, strategy, processors: in place of those of the task; processors may be
                of any class and apply to all prompts.
            n: number of answers to each prompt, for `BeamSearch` or `Sample`.
            seed: seed of `Sample`.

        Returns:
            For each prompt a `Generation`; a list of them, the best first, where `n` is given or
            the strategy has an `n` above 1.
        """
        most = most_tokens(max_new_tokens, self.max_new_tokens)
        strategy = with_options(strategy or self.strategy, n, seed)
        request = {
            "max_new_tokens": most,
            "end_id": self._prompts.end,
            "strategy": strategy,
            "processors": self._all_processors(processors),
        }
        encoded = [self.encode(sample, most) for sample in samples]
        order = sorted(range(len(encoded)), key=lambda i: len(encoded[i].rows[0][0]))
        parts = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
        found: list[Any] = [None] * len(encoded)
        show = len(parts) >= PROGRESS_BATCHES if progress is None else progress
        for part in tqdm(parts, disable=not show, unit="batch", leave=False):
            # The number of rows is rounded up to a power of two, so that few shapes are compiled.
            filled = 1 << (len(part) - 1).bit_length()
            chosen = [encoded[i] for i in (*part, *part[-1:] * (filled - len(part)))]
            before = [one.rows[0][0] for one in chosen]
            inputs, continues = self._inputs(chosen), self.kind == "lm"
            answers = write(self.model, self.tokenizer, before, continues, inputs, request)
            for i, some in zip(part, answers, strict=False):
                several = n is not None or strategy.n > 1
                found[i] = some if several else some[0]
        return found

    def stream(self, samples: Iterable[Any], batch_size: int = 64, **how: Any) -> Iterator[Any]:
        """Answer prompts of an iterable one after another; `how` as in `predict`."""
        samples = iter(samples)
        while part := list(itertools.islice(samples, 4 * batch_size)):
            yield from self.predict(part, batch_size, progress=False, **how)

    def stream_text(
        self,
        sample: Any,
        *,
        max_new_tokens: int | None = None,
        strategy: Any = None,
        processors: Sequence[Any] | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Answer one prompt, and yield the text while it is generated.

        Args:
            sample: a prompt.
            max_new_tokens, strategy, processors, seed: as in `predict`.

        Yields:
            Pieces of the text of `generator(sample)`, none empty, as soon as no later token can
            change them.
        """
        most = most_tokens(max_new_tokens, self.max_new_tokens)
        strategy = with_options(strategy or self.strategy, None, seed)
        if not strategy.can_stream or strategy.n > 1:
            raise TaskError(
                f"{strategy} has several answers until the end, so none can be streamed: use "
                "strategy=Greedy() or Sample(...)."
            )
        encoded = self.encode(sample, most)
        prompt, end = encoded.rows[0][0], self._prompts.end
        text = TextStream(self.tokenizer, prompt if self.kind == "lm" else ())
        tokens = stream(
            self.model,
            [prompt],
            most,
            end,
            strategy,
            processors=self._all_processors(processors),
            inputs=self._inputs([encoded]),
        )
        for (token,) in tokens:
            if token is not None and token != end and (piece := text.add(token)):
                yield piece
        if piece := text.close():
            yield piece

    def _all_processors(self, processors: Sequence[Any] | None) -> list[Any]:
        """Return the processors of a call, and one that bans tokens without text."""
        processors = self.processors if processors is None else list(processors)
        if any(p.per_prompt for p in processors):
            raise TaskError(
                "a processor, such as Constrained with a trie for each prompt, treats prompts "
                "differently, but processors hold for all prompts of a call: call the generator "
                "once for each trie."
            )
        return [self._banned, *processors]

    def _inputs(self, encoded: Sequence[Encoded]) -> dict[str, np.ndarray]:
        """Return further inputs of the model, by the names of `generate`."""
        if not self.conditions:
            return {}
        return {"condition": np.stack([one.rows[0][1] for one in encoded])}

    def _room(self, most: int) -> int:
        """Return the largest number of tokens of a prompt."""
        room = self.maxlen if self.kind == "seq2seq" else self.maxlen - most
        if room < 1:
            raise TaskError(
                f"max_new_tokens={most} leaves no room for a prompt: prompt and answer have at "
                f"most maxlen={self.maxlen} tokens together."
            )
        return room

    # Training and scores

    def batches(
        self,
        samples: Sequence[Any],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataGenerator:
        """Return batches for `model.fit`.

        Args:
            samples: texts of a language model, else pairs (prompt, target).
            batch_size, shuffle, seed, **options: of `DataGenerator`.
        """
        rows = [row for sample in samples for row in self._rows(sample)]

        def encode(row: TrainingRow) -> tuple[Any, Any]:
            return self._structured(self._columns(row)), np.asarray(row.labels, "int32")

        how = {"encode": encode, "pad_value": self.encoder.padding}
        how |= {"shuffle": shuffle, "seed": seed}
        return DataGenerator(rows, batch_size, **{**how, **options})

    def _rows(self, sample: Any) -> list[TrainingRow]:
        return self._prompts.training_rows(sample, self.maxlen, self.max_new_tokens)

    def _columns(self, row: TrainingRow) -> list[np.ndarray]:
        """Return the inputs of a row, in the order of the model's."""
        others = {"Decoder_Input_Token": row.decoder_ids, "Input_Condition": row.condition}
        chosen = self.encoder.select(row.token_ids, row.segment_ids, **others)
        return [np.asarray(values) for values in chosen]

    def log_probabilities(self, samples: Iterable[Any], batch_size: int = 32) -> list[np.ndarray]:
        """Return log-probabilities of texts, token by token.

        Args:
            samples: as in `batches`.
            batch_size: rows at a time.

        Returns:
            For each sample log p of each token given the tokens before it, the end token included;
            their sum is log p of the whole text.
        """
        rows = [self._rows(sample) for sample in samples]
        if self._scorer is None:
            facts = self.encoder
            self._scorer = TokenScorer(
                self.model, self.from_logits, facts.padding, facts.max_length
            )
        flat = [(self._columns(row), row.labels) for some in rows for row in some]
        found = iter(self._scorer(flat, batch_size))
        return [np.concatenate([next(found) for _ in some]) for some in rows]

    def evaluate(
        self, samples: Iterable[Any], batch_size: int = 64, **how: Any
    ) -> dict[str, float]:
        """Return perplexity, or scores of the answers, on samples.

        Args:
            samples: as in `batches`.
            batch_size, **how: as in `predict`.

        Returns:
            For a language model `perplexity` per token; otherwise ROUGE, BLEU and exact match of
            the answers, see `generation_scores`.
        """
        samples = list(samples)
        if not samples:
            raise TaskError("evaluate() got no samples.")
        if self.kind == "lm":
            return {"perplexity": perplexity(self.log_probabilities(samples, batch_size))}
        prompts, targets = zip(*samples, strict=True)
        return self.metrics(self.predict(prompts, batch_size, **how), targets)

    def metrics(self, answers: Sequence[Any], labels: Sequence[str]) -> dict[str, float]:
        """Return `generation_scores`; of several answers to a prompt the first counts."""
        best = [answer[0] if isinstance(answer, list) else answer for answer in answers]
        return generation_scores([answer.text for answer in best], list(labels))

    # Checkpoints of transformers

    @classmethod
    def from_huggingface(cls, directory: str | Path, **settings: Any) -> Generator:
        """Read `...LMHeadModel` or `...ForConditionalGeneration` of transformers."""
        from .pretrained import read_generator

        return cls(*read_generator(directory), **settings)

    def save_huggingface(self, directory: str | Path) -> None:
        """Write model and tokenizer for `from_pretrained` of transformers."""
        from .pretrained import write_generator

        write_generator(self, directory)
