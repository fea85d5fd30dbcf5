"""From scores to Python objects that stand in a text: spans, answers, tags. No model code."""

from __future__ import annotations

from .answers import Answer, Reading, ScoredSpan, best_spans, read_answers, vote
from .display import (
    entities_to_ansi,
    entities_to_html,
    plot_attention,
    plot_history,
    plot_transitions,
    plot_weights,
    visible,
    weights_to_ansi,
    weights_to_html,
)
from .mentions import AliasTrie, Mention, match_flags
from .numbers import read_number
from .span_matrix import decode_spans, dense_pairs, span_pairs, sparse_pairs
from .spans import Alignment, Lost, align, first_tokens, locate_entities, merge_windows
from .sql import AGGREGATES, CONNECTIVES, OPERATORS, SQL, Condition, Table
from .sql_execution import Database, execute, execution_guided
from .sql_labels import (
    EncodedQuestion,
    Inexpressible,
    decode_sql,
    encode_question,
    encode_sql,
    partial_labels,
    sql_candidates,
    sure_scores,
)
from .tags import (
    SCHEMES,
    Entity,
    allowed_transitions,
    decode_tags,
    encode_tags,
    find_scheme,
    split_tag,
    tag_names,
)
from .triples import Triple, casrel_labels, decode_linker, find_triples, linker_pairs, token_triples
from .value_linking import ValueLinker, edit_distance
from .vectors import Neighbours, VectorFileError, VectorIndex, Whitening
from .viterbi import best_paths, viterbi, viterbi_k_best
from .windows import Window, central_window, cut_windows, read_windows

__all__ = [
    "AGGREGATES",
    "CONNECTIVES",
    "OPERATORS",
    "SCHEMES",
    "SQL",
    "AliasTrie",
    "Alignment",
    "Answer",
    "Condition",
    "Database",
    "EncodedQuestion",
    "Entity",
    "Inexpressible",
    "Lost",
    "Mention",
    "Neighbours",
    "Reading",
    "ScoredSpan",
    "Table",
    "Triple",
    "ValueLinker",
    "VectorFileError",
    "VectorIndex",
    "Whitening",
    "Window",
    "align",
    "allowed_transitions",
    "best_paths",
    "best_spans",
    "casrel_labels",
    "central_window",
    "cut_windows",
    "decode_linker",
    "decode_spans",
    "decode_sql",
    "decode_tags",
    "dense_pairs",
    "edit_distance",
    "encode_question",
    "encode_sql",
    "encode_tags",
    "entities_to_ansi",
    "entities_to_html",
    "execute",
    "execution_guided",
    "find_scheme",
    "find_triples",
    "first_tokens",
    "linker_pairs",
    "locate_entities",
    "match_flags",
    "merge_windows",
    "partial_labels",
    "plot_attention",
    "plot_history",
    "plot_transitions",
    "plot_weights",
    "read_answers",
    "read_number",
    "read_windows",
    "span_pairs",
    "sparse_pairs",
    "split_tag",
    "sql_candidates",
    "sure_scores",
    "tag_names",
    "token_triples",
    "visible",
    "viterbi",
    "viterbi_k_best",
    "vote",
    "weights_to_ansi",
    "weights_to_html",
]
