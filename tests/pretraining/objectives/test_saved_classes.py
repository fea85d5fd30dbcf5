"""A pretrained checkpoint names its class of transformers, by which `tasks.load` opens it."""

from __future__ import annotations

import json

import pytest

from bert4keras import tasks
from bert4keras.pretraining import PRETRAINING_OBJECTIVES
from helpers.packed_rows import CONFIG, TOKENIZER

pytestmark = pytest.mark.spread

# Objective, family, class, and the task that `tasks.load` makes of it.
SAVED = [
    ("mlm", "bert", "BertForMaskedLM", tasks.FillMask),
    ("mlm", "roformer", "RoFormerForMaskedLM", tasks.FillMask),
    ("unilm", "bert", "BertForMaskedLM", tasks.FillMask),
    ("sentence-order", "albert", "AlbertForPreTraining", tasks.FillMask),
    ("lm", "bert", "BertLMHeadModel", tasks.Generator),
    ("lm", "gpt2", "GPT2LMHeadModel", tasks.Generator),
    ("lm", "roformer", None, None),
    ("mlm", "roberta", "RobertaForMaskedLM", tasks.FillMask),
    ("mlm", "deberta-v2", "DebertaV2ForMaskedLM", tasks.FillMask),
    ("t5", "mt5", "MT5ForConditionalGeneration", tasks.Generator),
    ("electra", "electra", "ElectraForPreTraining", None),
    ("electra", "bert", "BertModel", None),
    ("permutation", "bert", None, None),
]


@pytest.mark.parametrize(("name", "family", "named", "kind"), SAVED)
def test_the_class_and_its_task(name, family, named, kind, tmp_path):
    objective = PRETRAINING_OBJECTIVES[name](TOKENIZER)
    config = {
        **CONFIG,
        "hidden_size": 16,
        "model_type": family,
        "architectures": ["OldForMaskedLM"],
    }
    model = objective.build(config)
    objective.save(model, tmp_path, TOKENIZER)
    config = json.loads((tmp_path / "config.json").read_text())
    assert config.get("architectures") == (named and [named])
    if kind is None:
        with pytest.raises(tasks.TaskError):
            tasks.load(tmp_path)
    else:
        assert isinstance(tasks.load(tmp_path), kind)
    if name == "electra":
        generator = json.loads((tmp_path / "generator" / "config.json").read_text())
        assert generator["architectures"][0].endswith("ForMaskedLM")
        assert isinstance(tasks.load(tmp_path / "generator"), tasks.FillMask)
