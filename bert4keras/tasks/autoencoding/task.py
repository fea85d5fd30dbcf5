"""Sentence autoencoders: VAE, and discrete codes by Gumbel softmax or vector quantisation."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ...data import DataGenerator
from ...generation import BannedTokens, Greedy
from ...generation.strategies import Strategy
from ...latent import Bottleneck
from ...latent.posterior import CodePosterior, Posterior
from ...models import Backbone
from ...tokenizers.base import TokenizerBase
from ..base import Encoded, Task, TaskError, register_task
from ..generation.prompts import NONE, Prompt, PromptEncoder, never_written
from ..generation.scoring import TokenScorer
from ..generation.settings import STRATEGIES, setting_of, to_values, with_options
from ..generation.writing import write
from .building import autoencoder, check_decoder, get_bottleneck, open_pair
from .layers import TextCrossentropy
from .report import report

_MAXLEN = 64
_CUTS = ("error", "right")


@register_task
class SentenceAutoencoder(Task[str]):
    """Autoencoder of texts, whose answer to a text is its reconstruction.

    The encoder's mean vector becomes a latent z, and a language model with z as the condition of
    all its norms writes the text again. z is Gaussian (a VAE), or a few discrete codes. `fit`
    minimises the negative evidence lower bound in nats a text.

    Args:
        tokenizer: of encoder and decoder.
        model: of `build`.
        maxlen: largest number of tokens of a text, special tokens included; None: 64, or what the
            encoder allows if that is less.
        strategy: `Greedy()`, `BeamSearch(...)` or `Sample(...)` of `bert4keras.generation`.
        truncate: "error" for texts that are too long, or "right", which cuts them.

    Example:
        >>> task = SentenceAutoencoder.build("bert", latent="gaussian", texts=texts)
        >>> task.model.compile("adam", task.loss)
        >>> task.model.fit(task.batches(texts, shuffle=True), epochs=10)
        >>> task("the film is good")
        'the film is good'
        >>> task.walk("the film is good", "the story is bad", steps=5)
        >>> task.sample(10, seed=1)
    """

    loss = TextCrossentropy()
    not_exported = "it runs its model once for every token that it writes"

    def __init__(
        self,
        tokenizer: TokenizerBase,
        model: keras.Model,
        maxlen: int | None = None,
        strategy: Strategy | None = None,
        truncate: str = "error",
    ):
        found = [
            [layer for layer in model.layers if isinstance(layer, kind)]
            for kind in (Bottleneck, Backbone)
        ]
        if [len(layers) for layers in found] != [1, 1]:
            raise TaskError(
                f"the model {model.name!r} has not one bottleneck and one decoder: use "
                "SentenceAutoencoder.build(...)."
            )
        self.bottleneck: Bottleneck = found[0][0]
        self.decoder: Backbone = found[1][0]
        check_decoder(self.decoder, self.bottleneck.size)
        super().__init__(tokenizer, model, maxlen)
        if maxlen is None:
            self.maxlen = min(self.maxlen, _MAXLEN)
        if truncate not in _CUTS:
            raise TaskError(f"truncate={truncate!r} must be one of {', '.join(_CUTS)}.")
        self.truncate = truncate
        self.strategy = setting_of(strategy or Greedy(), STRATEGIES)
        self._prompts = PromptEncoder(tokenizer, "lm", start_token=True)
        if self._prompts.end is None:
            raise TaskError("the tokenizer has no end token, so a text that is written never ends.")
        self._start = self._prompts.source(Prompt(""), self.maxlen)
        self._banned = BannedTokens(never_written(tokenizer, self.decoder.config.vocab_size))
        self._views: dict[str, Any] = {}

    @classmethod
    def build(
        cls,
        checkpoint: str | Path | Backbone,
        latent: str | Bottleneck = "gaussian",
        texts: Iterable[str] | None = None,
        tokenizer: TokenizerBase | None = None,
        decoder: Backbone | None = None,
        word_dropout: float = 0.0,
        options: Mapping[str, Any] | None = None,
        **settings: Any,
    ) -> SentenceAutoencoder:
        """Build an autoencoder from a pretrained model, or from small ones with random weights.

        Args:
            checkpoint: directory, `hf://org/name`, or a name of `checkpoints.fetch`, for encoder
                and decoder; or a `Backbone` that is the encoder, with its `tokenizer`
                (`from_scratch`). The decoder then has the same sizes and random weights.
            latent: "gaussian", "gumbel" or "vq", or a bottleneck of `bert4keras.latent`.
            texts: keep only the special tokens and those that occur in these texts.
            tokenizer: in place of the checkpoint's own.
            decoder: another language model over the same tokens, built with
                `application="lm", with_mlm="linear", layer_norm_cond=bottleneck.size`.
            word_dropout: probability that the decoder sees a mask instead of a word in training.
            options: options of `build_transformer_model`, for encoder and decoder.
            **settings: arguments of the class.

        Raises:
            TaskError: parts that do not fit.
        """
        bottleneck = get_bottleneck(latent)
        tokenizer, encoder, decoder = open_pair(
            checkpoint, bottleneck.size, texts, tokenizer, decoder, options or {}
        )
        model = autoencoder(encoder, bottleneck, decoder, tokenizer, word_dropout)
        return cls(tokenizer, model, **settings)

    def get_config(self) -> dict[str, Any]:
        own = {"strategy": to_values(self.strategy), "truncate": self.truncate}
        return {**super().get_config(), **own}

    # Texts to rows

    def encode(self, sample: str) -> Encoded:
        """Encode a text: its ids, from the start token to the end token."""
        if not isinstance(sample, str):
            raise TaskError(f"a sample is a text, not {sample!r:.100}.")
        ids = [*self._prompts.lead, *self.tokenizer.encode(sample)[0]]
        if not self._prompts.tail:
            ids.append(self._prompts.end)
        if len(ids) > self.maxlen:
            if self.truncate == "error":
                raise TaskError(
                    f"the text {sample!r:.40} has {len(ids)} tokens, and maxlen={self.maxlen}. "
                    "Give a larger maxlen, or let truncate='right' cut such texts."
                )
            ids = [*ids[: self.maxlen - 1], self._prompts.end]
        return Encoded(sample, [self.encoder.select(ids, [0] * len(ids))], extra=ids)

    def encode_label(self, label: None, encoded: Encoded, window: int = 0) -> np.ndarray:
        """Return the next token of each position."""
        return np.asarray([*encoded.extra[1:], NONE], "int32")

    def batches(  # type: ignore[override]  # texts in place of labelled samples
        self,
        samples: Sequence[str],
        batch_size: int = 32,
        shuffle: bool = False,
        seed: int = 0,
        **options: Any,
    ) -> DataGenerator:
        """Return batches for `model.fit`.

        Args:
            samples: texts.
            batch_size, shuffle, seed, **options: of `DataGenerator`.
        """
        pairs = [(text, None) for text in samples]
        return super().batches(pairs, batch_size, shuffle, seed, **options)

    # Texts to latent vectors

    def posterior(self, texts: Sequence[str], batch_size: int = 64) -> Posterior:
        """Return q(z | x) of texts."""
        rows = [self.encode(text).rows[0] for text in texts]
        if not rows:
            raise TaskError("there is no text: give a list of texts.")
        return self.bottleneck.posterior(np.stack(self._run(rows, batch_size, None)))

    def run(self, inputs: object) -> Any:
        """Return the parameters of the posteriors of a batch."""
        if "posterior" not in self._views:
            parameters = self.bottleneck.output[1]
            self._views["posterior"] = keras.Model(self.model.inputs, parameters)
        return self._views["posterior"].predict_on_batch(inputs)

    def vectors(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """Return the latent vectors at the modes of q(z | x), float32 (N, Z), for `write`."""
        found = self.posterior(texts, batch_size)
        return found.embed(found.mode)

    def codes(self, texts: Sequence[str], batch_size: int = 64) -> np.ndarray:
        """Return the likeliest discrete codes, int (N, M).

        Raises:
            TaskError: the latent is Gaussian.
        """
        found = self.posterior(texts, batch_size)
        if not isinstance(found, CodePosterior):
            raise TaskError("a Gaussian latent has no codes; vectors(texts) returns its means.")
        return found.mode

    # Latent vectors to texts

    def predict(
        self,
        samples: Iterable[str],
        batch_size: int = 64,
        progress: bool | None = None,
        **how: Any,
    ) -> list[str]:
        """Reconstruct texts from the modes of their posteriors; `how` as in `write`."""
        if isinstance(samples, str):
            raise TaskError(f"give a list of texts, or call the task: task({samples!r:.40}).")
        samples = list(samples)
        return self.write(self.vectors(samples, batch_size), batch_size, **how) if samples else []

    def write(
        self,
        vectors: np.ndarray,
        batch_size: int = 64,
        *,
        strategy: Strategy | None = None,
        seed: int | None = None,
    ) -> list[str]:
        """Write the text of each latent vector.

        Args:
            vectors: (N, Z).
            batch_size: vectors at a time.
            strategy: in place of that of the task.
            seed: of `Sample`.

        Raises:
            TaskError: vectors of another size.
        """
        vectors = np.asarray(vectors, "float32")
        if vectors.ndim != 2 or vectors.shape[1] != self.bottleneck.size:
            raise TaskError(
                f"latent vectors have the shape (N, {self.bottleneck.size}), not {vectors.shape}."
            )
        request = {
            "max_new_tokens": self.maxlen - len(self._start),
            "end_id": self._prompts.end,
            "strategy": with_options(strategy or self.strategy, None, seed),
            "processors": [self._banned],
        }
        texts: list[str] = []
        for start in range(0, len(vectors), batch_size):
            part = vectors[start : start + batch_size]
            # A power of two, so that few shapes are compiled.
            filled = np.resize(np.arange(len(part)), 1 << (len(part) - 1).bit_length())
            inputs, prompts = {"condition": part[filled]}, [self._start] * len(filled)
            found = write(self.decoder, self.tokenizer, prompts, False, inputs, request)
            texts += [some[0].text for some in found[: len(part)]]
        return texts

    def sample(self, count: int, seed: int | None = None, **how: Any) -> list[str]:
        """Write texts of latents that are drawn from the prior.

        Args:
            count: number of texts.
            seed: the same seed draws the same texts; None: others each time.
            **how: as in `write`.
        """
        return self.write(self.bottleneck.sample_prior(count, np.random.default_rng(seed)), **how)

    def walk(
        self, first: str, second: str, steps: int = 7, spherical: bool = False, **how: Any
    ) -> list[str]:
        """Write the texts on the way from one text to another.

        Args:
            first, second: the texts; the reconstructions of both are the ends of the walk.
            steps: number of texts. With discrete codes, those that differ change one after another.
            spherical: move along a great circle, where Gaussian vectors have their usual length,
                instead of a line.
            **how: as in `write`.
        """
        if steps < 2:
            raise TaskError(f"steps={steps} must be at least 2.")
        posterior = self.posterior([first, second])
        return self.write(posterior.embed(posterior.between(0, 1, steps, spherical)), **how)

    # Scores

    def log_likelihoods(
        self, texts: Sequence[str], vectors: np.ndarray, batch_size: int = 64
    ) -> list[np.ndarray]:
        """Return log p(token | tokens before, z) of the tokens of each text, given its vector.

        Args:
            texts: N texts.
            vectors: (N, Z).
            batch_size: texts at a time.
        """
        if "scorer" not in self._views:
            pad = self.decoder.config.pad_token_id or 0
            padding = [pad if name == "token_ids" else 0 for name in self.decoder.input_order]
            self._views["scorer"] = TokenScorer(
                self.decoder, True, padding, self.encoder.max_length
            )
        rows = []
        for text, z in zip(texts, np.asarray(vectors, "float32"), strict=True):
            ids = np.asarray(self.encode(text).extra)
            given = {"token_ids": ids, "condition": z}
            columns = [given.get(name, np.zeros_like(ids)) for name in self.decoder.input_order]
            rows.append((columns, [*ids[1:], NONE]))
        return self._views["scorer"](rows, batch_size)

    def evaluate(
        self, samples: Iterable[Any], batch_size: int = 64, **how: Any
    ) -> dict[str, float]:
        """Return the report of the latent variable on texts, see `report`.

        Args:
            samples: texts.
            batch_size: texts at a time.
            **how: of `report`.
        """
        return report(self, list(samples), batch_size, **how)
