"""ELECTRA: BERT trained to tell which tokens were replaced, and the generator that did it."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from ..config import TransformerConfig
from ..models.pretraining_heads import activation_of, dense
from ..models.transformer import Transformer
from ..registry import register_model


@dataclasses.dataclass(frozen=True)
class ELECTRAConfig(TransformerConfig):
    """ELECTRA's keys that change nothing here."""

    ignored_keys: ClassVar = frozenset(
        """summary_activation summary_last_dropout summary_type summary_use_proj
        embedding_dropout""".split()
    )


@dataclasses.dataclass(frozen=True)
class ELECTRAGeneratorConfig(ELECTRAConfig):
    """The generator's; other programs tell the two apart by what is loaded."""

    export_as: ClassVar = "electra"


@register_model("electra")
class ELECTRA(Transformer):
    """The discriminator; `with_discriminator` gives each token's probability of being replaced.

    Source: Clark et al., ELECTRA, 2020 (arXiv:2003.10555).
    """

    config_class = ELECTRAConfig

    def apply_discriminator(self, x):
        config = self.config
        x = dense(self, x, "Discriminator-Dense", config.hidden_size, config.hidden_act)
        activation = activation_of(self.pretraining_heads.with_discriminator, "sigmoid")
        return dense(self, x, "Discriminator-Prediction", 1, activation)


@register_model("electra_generator")
class ELECTRAGenerator(ELECTRA):
    """The generator, which differs in the names that Google's checkpoints give it."""

    config_class = ELECTRAGeneratorConfig
