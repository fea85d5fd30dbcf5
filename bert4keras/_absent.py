"""Names of bert4keras 0.11 that no longer exist, by module, each with a hint.

A hint gives the full name of the replacement, so that a test can look it up.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NoReturn

_STRINGS = "Python 3 has one kind of string: decode bytes with data.decode('utf-8')"
_ARGUMENTS = "write the arguments into __init__ and pass the others on with **kwargs"
_BACKEND = "it is in bert4keras.backend"
_SNIPPETS = "it is in bert4keras.snippets"
_FAMILY = 'pass its name: bert4keras.models.build_transformer_model(..., model="{}")'
_BIASES = (
    "positions are a strategy of the family, such as bert4keras.positions.Learned; "
    "bert4keras.models.build_transformer_model builds the layers"
)
_MASK = (
    'pass application="lm" or "unilm" to bert4keras.models.build_transformer_model, or combine the '
    "masks of bert4keras.masks"
)
_DEVICES = "for several devices use keras.distribution.DataParallel"
_ADAFACTOR = "keras.optimizers.Adafactor"
_EXTENSIONS = """exponential_moving_average gradient_accumulation layer_adaptation lazy_optimization
    lookahead parameter_wise_lr piecewise_linear_lr weight_decay""".split()
_HELPERS = "K keras is_tf_keras align batch_gather pool1d recompute_grad search_layer".split()
_HELPERS += "sequence_masking flatten reshape apply_rotary_position_embeddings".split()
_HELPERS += "attention_normalize divisible_temporal_padding sinusoidal_embeddings".split()
_TEXTS = "is_string is_one_of open lowercase_and_normalize truncate_sequences".split()

ABSENT: dict[str, dict[str, str]] = {
    "backend": {
        "custom_objects": "the layers are registered with Keras, so load_model finds them",
        "do_recompute": "pass it to a model: build_transformer_model(..., remat=True)",
        "get_available_gpus": (
            'ask the backend: tf.config.list_physical_devices("GPU"), jax.devices()'
        ),
        "graph_mode_decorator": "use keras.remat",
        "infinity": "bert4keras.backend.sequence_masking has the number of the dtype",
        "recompute_grad": (
            "use keras.remat(function) or `with keras.RematScope():` around the building"
        ),
        "set_gelu": (
            'gelu is chosen by the config of a model: hidden_act="gelu" (erf) or "gelu_tanh"'
        ),
        "set_infinity": "bert4keras.backend.sequence_masking has the number of the dtype",
        "symbolic": "every function is compiled by fit, evaluate and predict",
        "tf": "import tensorflow, or use keras.ops",
    },
    "layers": {
        "BatchConcat": _DEVICES,
        "BatchSplit": _DEVICES,
        "Concatenate1D": "use keras.layers.Concatenate(axis=1) and concatenate the masks too",
        "Embedding": "bert4keras.layers.TokenEmbedding, which also gives the scores of tokens",
        "GlobalAveragePooling1D": (
            "bert4keras.layers.MaskedMeanPooling, on [vectors, token ids], leaves out padding"
        ),
        "GlobalMaxPooling1D": "use keras.layers.GlobalMaxPooling1D after setting padding low",
        "LayerNormalization": (
            "keras.layers.LayerNormalization; with a condition "
            "bert4keras.layers.ConditionalLayerNormalization"
        ),
        "Loss": "give a function to compile(loss=...), or call keras.layers.Layer.add_loss",
        "RelativePositionEmbedding": _BIASES,
        "RelativePositionEmbeddingT5": _BIASES,
        "ScaleOffset": (
            "a bias per token is bert4keras.layers.VocabularyBias, a fixed factor "
            "keras.layers.Rescaling"
        ),
        "SinusoidalPositionEmbedding": (
            "bert4keras.backend.sinusoidal_embeddings gives the vectors of positions"
        ),
        "integerize_shape": "shapes are integers in Keras 3, so it can be left out",
        **dict.fromkeys(_HELPERS, _BACKEND),
        "recompute_grad": "use keras.remat(function)",
    },
    "models": {
        "ALBERT": _FAMILY.format("albert"),
        "ALBERT_Unshared": _FAMILY.format("albert_unshared"),
        "ELECTRA": _FAMILY.format("electra"),
        "GAU_alpha": _FAMILY.format("gau_alpha"),
        "GPT": _FAMILY.format("gpt"),
        "GPT2": _FAMILY.format("gpt2"),
        "GPT2_ML": _FAMILY.format("gpt2_ml"),
        "LM_Mask": _MASK,
        "NEZHA": _FAMILY.format("nezha"),
        "RoFormer": _FAMILY.format("roformer"),
        "RoFormerV2": _FAMILY.format("roformer_v2"),
        "T5": _FAMILY.format("t5.1.1"),
        "T5_Base": _FAMILY.format("t5.1.1"),
        "T5_Decoder": _FAMILY.format("t5.1.1_decoder"),
        "T5_Encoder": _FAMILY.format("t5.1.1_encoder"),
        "UniLM_Mask": _MASK,
        "data_parallel": _DEVICES,
        "extend_with_language_model": _MASK,
        "extend_with_unified_language_model": _MASK,
        **dict.fromkeys(_HELPERS, _BACKEND),
        "recompute_grad": "use keras.remat(function)",
    },
    "optimizers": {
        "AdaFactor": _ADAFACTOR,
        "AdaFactorBase": _ADAFACTOR,
        "AdaFactorV1": _ADAFACTOR,
        "AdaFactorV2": _ADAFACTOR,
        "Lion": "keras.optimizers.Lion",
        "LionV1": "keras.optimizers.Lion",
        "LionV2": "keras.optimizers.Lion",
        **{
            f"extend_with_{name}_v2": f"one for all: bert4keras.optimizers.extend_with_{name}"
            for name in _EXTENSIONS
        },
        **dict.fromkeys(["K", "keras", "is_tf_keras", "piecewise_linear"], _BACKEND),
        **dict.fromkeys(["is_string", "is_one_of"], _SNIPPETS),
        "insert_arguments": _ARGUMENTS,
    },
    "snippets": {
        "ViterbiDecoder": (
            "bert4keras.tasks.tagging.viterbi finds the best labels of a batch of scores, and a "
            "trained bert4keras.tasks.tagging.ConditionalRandomField has the method decode"
        ),
        "WebServing": "call model.predict in a handler of any web framework",
        "convert_to_str": _STRINGS,
        "convert_to_unicode": _STRINGS,
        "delete_arguments": _ARGUMENTS,
        "insert_arguments": _ARGUMENTS,
        "is_py2": "only Python 3 is supported",
    },
    "tokenizers": {
        "BasicTokenizer": "bert4keras.tokenizers.TokenizerBase",
        "convert_to_str": _STRINGS,
        "convert_to_unicode": _STRINGS,
        "is_py2": "only Python 3 is supported",
        **dict.fromkeys(_TEXTS, _SNIPPETS),
    },
}
# The modules of 0.11 also had the names of these Keras modules, by `import *`.
_OF_KERAS = {"layers": ("layers",), "models": ("layers", "models"), "optimizers": ("optimizers",)}


def refuse(module: str, name: str) -> NoReturn:
    """Raise the error for a name that a module does not have; the end of its `__getattr__`.

    Args:
        module: `__name__` of the module, such as "bert4keras.layers"; for "bert4keras" itself the
            names of all modules are looked up.
        name: the missing name.

    Raises:
        ImportError: with a hint, if 0.11 had the name or Keras has it. An AttributeError would lose
            the hint: `from module import name` replaces its message.
        AttributeError: any other name.
    """
    _, _, part = module.partition(".")
    if hint := _hint(part, name):
        raise ImportError(f"{module}.{name} is not part of this version: {hint}.")
    raise AttributeError(f"module {module!r} has no attribute {name!r}")


def absent(module: str) -> Callable[[str], Any]:
    """Return a `__getattr__` for a module that resolves no names itself; see `refuse`."""

    def __getattr__(name: str) -> NoReturn:
        refuse(module, name)

    return __getattr__


def _hint(part: str, name: str) -> str | None:
    if not part:
        return next((hints[name] for hints in ABSENT.values() if name in hints), None)
    if name in ABSENT.get(part, {}):
        return ABSENT[part][name]
    if name[:1].isupper():
        for place in _OF_KERAS.get(part, ()):
            import keras

            if hasattr(getattr(keras, place), name):
                return f"it is in keras.{place}.{name}"
    return None
