"""The families of models, one module or folder each."""

from . import (  # noqa: F401
    albert,
    bert,
    deberta,
    distilbert,
    electra,
    ernie,
    gau,
    gpt,
    modernbert,
    nezha,
    roberta,
    roformer,
    t5,
)
