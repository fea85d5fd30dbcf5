"""Private API of Keras, and differences between backends that the package has to know.

Only this package may import `keras.src` or read a private attribute of an object of Keras. Each
function says what the public API lacks, so that it can be removed once Keras has it.
"""

import keras

from .checks import check_at_runtime, raise_at_runtime
from .distribution import (
    distribution_works,
    process_place,
    split_over_devices,
    tensorflow_replicas,
    without_distribution,
)
from .graph import (
    flat_inputs,
    inner_layers,
    is_functional,
    layer_calls,
    padding_ids,
    run_graph,
)
from .masks import keras_mask, set_keras_mask, with_implicit_mask, with_mask_of
from .numerics import (
    FixedSeed,
    can_map,
    fused_attention,
    has_fused_attention,
    linear,
    repeatable_seed,
    take_along_last_axis,
    take_rows,
    write_rows,
)
from .openvino import extend_trainer, openvino_function, openvino_graph
from .recurrent import recurrent_loop
from .removed import note_removed_names, output_at
from .saving import (
    generator_states,
    object_loaded_as,
    remember_loaded,
    restore_generators,
    seed_states,
)
from .trainer import (
    TrainerCall,
    TrainerCalls,
    call_is_training,
    compiled_losses_and_metrics,
    disable_shuffle,
    model_in_fit,
    start_at_epoch,
    wrapped_function,
)
from .variables import (
    assign_if,
    assign_lerp,
    calls_of_apply,
    full_precision,
    layout,
    track_variable,
    variable_index,
)

__all__ = [
    "FixedSeed",
    "TrainerCall",
    "TrainerCalls",
    "assign_if",
    "assign_lerp",
    "call_is_training",
    "calls_of_apply",
    "can_map",
    "check_at_runtime",
    "compiled_losses_and_metrics",
    "disable_shuffle",
    "distribution_works",
    "flat_inputs",
    "full_precision",
    "fused_attention",
    "generator_states",
    "has_fused_attention",
    "inner_layers",
    "is_functional",
    "keras_mask",
    "layer_calls",
    "layout",
    "linear",
    "model_in_fit",
    "note_removed_names",
    "object_loaded_as",
    "openvino_function",
    "openvino_graph",
    "output_at",
    "padding_ids",
    "process_place",
    "raise_at_runtime",
    "recurrent_loop",
    "remember_loaded",
    "repeatable_seed",
    "restore_generators",
    "run_graph",
    "seed_states",
    "set_keras_mask",
    "split_over_devices",
    "start_at_epoch",
    "take_along_last_axis",
    "take_rows",
    "tensorflow_replicas",
    "track_variable",
    "variable_index",
    "with_implicit_mask",
    "with_mask_of",
    "without_distribution",
    "wrapped_function",
    "write_rows",
]

if keras.backend.backend() == "openvino":
    extend_trainer()
