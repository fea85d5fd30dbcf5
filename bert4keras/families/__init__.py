"""Model families, each in one module or folder.

To add one, write a module here and add a line to `MODULES`. The module defines the config, the
tables of its checkpoints, facts about its tokenizer and its classes in transformers, and a
`Transformer` subclass with the decorator `register_model`. Outside the package, the decorator is
enough.
"""

# Module -> the names that it registers. It is imported when one of them is first asked for.
# A checkpoint of an unknown family is compared with the tables of all families, in this order.
MODULES = {
    "bert": "bert roberta_as_bert minilm",
    "albert": "albert albert_unshared albert_zh",
    "roberta": "roberta xlm-roberta camembert",
    "deberta": "deberta-v2",
    "distilbert": "distilbert",
    "electra": "electra electra_generator",
    "ernie": "ernie",
    "gau": "gau_alpha gau-alpha",
    "modernbert": "modernbert",
    "nezha": "nezha",
    "roformer": "roformer roformer_v2",
    "t5": "t5 t5.1.0 t5.1.1 mt5 mt5.1.1 "
    "t5_encoder t5.1.0_encoder t5.1.1_encoder mt5_encoder mt5.1.1_encoder "
    "t5_decoder t5.1.0_decoder t5.1.1_decoder mt5_decoder mt5.1.1_decoder",
    "gpt": "gpt openai-gpt gpt2 gpt2_ml",
}
