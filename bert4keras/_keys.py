"""Keys of config files that are no fields: those that are ignored and those that are unsupported.

Every key of a config json belongs to one of four groups:

- a field, or an alias of one: it is used;
- ignored: it does not change what the model computes, and is kept without a warning;
- unsupported: by it, another library's model computes another function. It is an error unless its
  value is one that changes nothing;
- unknown: it is kept, and named in a warning. It is no error, since training scripts write
  arbitrary keys, such as the name of an experiment, into these files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ._schema import Only

# Keys found in published checkpoints that do not change what the model computes.
IGNORED_KEYS = frozenset(
    """_name_or_path architectures attn_implementation _attn_implementation bos_token_id
    classifier_dropout cross_attention_hidden_size dtype eos_token_id
    finetuning_task gradient_checkpointing id2label label2id language model_max_length name
    num_labels output_attentions output_hidden_states output_past pooler_fc_size
    pooler_num_attention_heads pooler_num_fc_layers pooler_size_per_head pooler_type
    problem_type return_dict sep_token_id cls_token_id mask_token_id unk_token_id torch_dtype
    transformers_version use_cache chunk_size_feed_forward
    task_specific_params tokenizer_class torchscript use_bfloat16 tf_legacy_loss
    _attn_implementation_autoset use_flash_attention use_memory_efficient_attention
    sentence_transformers sbert_ce_default_activation_function""".split()
    # Options of text generation, which older versions of transformers keep here.
    + """bad_words_ids begin_suppress_tokens decoder_start_token_id diversity_penalty do_sample
    early_stopping encoder_no_repeat_ngram_size exponential_decay_length_penalty
    forced_bos_token_id forced_eos_token_id length_penalty max_length max_new_tokens min_length
    no_repeat_ngram_size num_beam_groups num_beams num_return_sequences output_scores prefix
    remove_invalid_values repetition_penalty return_dict_in_generate suppress_tokens temperature
    top_k top_p typical_p""".split()
)


def _is_own_code(value: Any) -> bool:
    """Return whether `auto_map` makes code beside the checkpoint the model."""
    if not isinstance(value, Mapping):
        return True
    return any(str(key).startswith(("AutoModel", "TFAutoModel")) for key in value)


def _scales_positions(value: Any) -> bool:
    """Return whether `rope_scaling` or `rope_parameters` asks for more than plain rotation."""
    if not isinstance(value, Mapping):
        return True
    kind = value.get("rope_type", value.get("type", "default"))
    return kind != "default" or bool(set(value) - {"rope_type", "type"})


# Key -> predicate: True for a value by which the model computes another function. A family's config
# class may change or add entries (`unsupported`), or have a field of that name, which is then used.
UNSUPPORTED: Mapping[str, Callable[[Any], bool]] = {
    # The attention mask, and parts of the model other than its blocks.
    "is_decoder": Only(True, False),  # see `TransformerConfig.causal`
    "add_cross_attention": Only(False),
    "is_encoder_decoder": Only(False),
    "tie_word_embeddings": Only(True, False),  # of the head: see `build_transformer_model`
    "pruned_heads": Only({}, []),
    "directionality": Only("bidi"),
    "layer_types": Only(),
    "sliding_window": Only(),
    "use_sliding_window": Only(False),
    "attention_window": Only(),
    "local_attention": Only(),
    "global_attn_every_n_layers": Only(),
    # Positions.
    "position_embedding_type": Only("absolute"),
    "rope_scaling": _scales_positions,
    "rope_parameters": _scales_positions,
    "rope_theta": Only(),
    "global_rope_theta": Only(),
    "local_rope_theta": Only(),
    "rotary_emb_base": Only(),
    "partial_rotary_factor": Only(),
    "rotary_pct": Only(),
    "rotary_emb_fraction": Only(0),
    "rotary_value": Only(False),
    "alibi": Only(False),
    "use_alibi": Only(False),
    "alibi_starting_size": Only(),
    "use_relative_position": Only(False),
    "relative_attention": Only(False),
    "position_biased_input": Only(True),
    "pos_att_type": Only([], "", "none"),
    "norm_rel_ebd": Only("none"),
    "share_att_key": Only(False),
    "talking_head": Only(False),
    # The layers of a block.
    "attention_bias": Only(True),
    "qkv_bias": Only(True),
    "use_bias": Only(True),
    "mlp_bias": Only(True),
    "norm_bias": Only(True),
    "norm_type": Only("layer_norm", "layernorm"),
    "ln_type": Only("postln"),
    "normalize_before": Only(False),
    "norm_first": Only(False),
    "feed_forward_proj": Only(),
    "is_gated_act": Only(False),
    "conv_kernel_size": Only(0),
    "conv_groups": Only(1),
    "num_hidden_groups": Only(1),
    "inner_group_num": Only(1),
    "num_experts": Only(0, 1),
    "num_local_experts": Only(0, 1),
    "use_task_id": Only(False),
    # Scaling factors.
    "scale_attn_weights": Only(True),
    "scale_attn_by_inverse_layer_idx": Only(False),
    "scale_embedding": Only(False),
    "embedding_multiplier": Only(1),
    "attention_multiplier": Only(),
    "residual_multiplier": Only(1),
    "query_pre_attn_scalar": Only(),
    "logit_scale": Only(1),
    "attn_logit_softcapping": Only(),
    "final_logit_softcapping": Only(),
    # Weights stored in another form, and code that is not run.
    "quantization_config": Only(),
    "auto_map": _is_own_code,
}

REASONS = {
    "auto_map": "code beside the checkpoint, which is not run, may compute something else. If the "
    "model has the plain architecture, delete the key",
    "quantization_config": "its weights are quantized. Dequantize the model and save it first",
}
