"""Tables of results, as text and as docs/benchmarks.md."""

from __future__ import annotations

import platform

from .cases import Contest
from .contest import Outcome, ratios
from .imports import IMPORT_TARGET


def seconds_text(seconds: float) -> str:
    if seconds >= 1.0:
        return f"{seconds:.3g} s"
    if seconds >= 1e-3:
        return f"{seconds * 1e3:.3g} ms"
    return f"{seconds * 1e6:.3g} µs"


def ratio_rows(results: list[tuple[Contest, list[Outcome]]]) -> list[list[str]]:
    """Return rows: case, peer, peer / ours with quartiles, target, whether it is reached."""
    rows = []
    for contest, outcomes in results:
        own, peers = outcomes[0], outcomes[1:]
        for peer in peers:
            if own.error or peer.error:
                failed = own.side.label if own.error else peer.side.label
                rows.append([contest.title, peer.side.label, f"{failed} failed", "-", "**no**"])
                continue
            low, middle, high = ratios(peer, own)
            target = reached = "-"
            if peer.side.label in contest.judged:
                target = f">= {contest.target:.2f}"
                reached = "yes" if middle >= contest.target else "**no**"
            spread = f"{middle:.2f} ({low:.2f} to {high:.2f})"
            rows.append([contest.title, peer.side.label, spread, target, reached])
    return rows


def import_rows(rows: list[dict]) -> list[list[str]]:
    table = []
    for row in rows:
        if "error" in row:
            table.append([row["name"], row["backend"], row["error"], "-", "**no**"])
            continue
        reached = "yes" if row["ours"] <= IMPORT_TARGET else "**no**"
        own, base = f"{row['ours']:.3f} s", f"{row['keras']:.2f} s"
        table.append([row["name"], row["backend"], own, base, reached])
    return table


def absolute_rows(results: list[tuple[Contest, list[Outcome]]]) -> list[list[str]]:
    rows = []
    for contest, outcomes in results:
        for outcome in outcomes:
            if outcome.error:
                continue
            per_second = f"{1 / outcome.median:,.4g} / s"
            row = [contest.title, outcome.side.label, contest.unit, seconds_text(outcome.median)]
            rows.append([*row, per_second, seconds_text(outcome.first)])
    return rows


def failures(results: list[tuple[Contest, list[Outcome]]]) -> list[str]:
    """Return a line for each side that raised an error."""
    lines = []
    for contest, outcomes in results:
        for outcome in outcomes:
            if outcome.error:
                text = " ".join(outcome.error.split())[:200]
                lines.append(f"{contest.title}: {outcome.side.label} failed: {text}")
    return lines


def short_rows(results, imports: list[dict]) -> list[str]:
    """Return a sentence for each failure and for each target that was missed."""
    lines = failures(results)
    for title, peer, ratio, target, reached in ratio_rows(results):
        if reached == "**no**" and target != "-":
            lines.append(f"{title} against {peer}: {ratio} where {target} was asked for.")
    for name, backend, own, _, reached in import_rows(imports):
        if reached != "yes":
            lines.append(f"{name}, {backend}: {own} where {IMPORT_TARGET} s was asked for.")
    return lines


def disagreements(results: list[tuple[Contest, list[Outcome]]]) -> list[str]:
    """Return the sides with the same weights or texts whose results differ: they did other work."""
    lines = []
    for contest, outcomes in results:
        comparable = {"bert4keras", "transformers"} if contest.case == "encode" else None
        checks = {
            outcome.side.label: outcome.check
            for outcome in outcomes
            if outcome.check is not None
            and (comparable is None or outcome.side.label in comparable)
        }
        if checks and max(checks.values()) - min(checks.values()) > 1e-3 * max(checks.values()):
            lines.append(f"{contest.title}: results differ: {checks}")
    return lines


def markdown_table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def plain_table(header: list[str], rows: list[list[str]]) -> str:
    table = [header, *rows]
    widths = [max(len(row[i]) for row in table) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in table
    )


RATIO_HEADER = ["case", "peer", "peer / ours (quartiles)", "target", "reached"]
IMPORT_HEADER = ["import", "backend", "on top of keras", "`import keras` itself", "at most 0.3 s"]
ABSOLUTE_HEADER = ["case", "side", "unit", "median", "rate", "first run"]


def print_report(results, imports: list[dict]) -> None:
    if results:
        print("\n" + plain_table(RATIO_HEADER, ratio_rows(results)))
        print("\n" + plain_table(ABSOLUTE_HEADER, absolute_rows(results)))
    if imports:
        print("\n" + plain_table(IMPORT_HEADER, import_rows(imports)))
    for line in failures(results) + disagreements(results):
        print(f"WARNING  {line}")


def markdown(results, imports: list[dict], facts: dict[str, str]) -> str:
    """Return the whole page."""
    versions: dict[str, str] = {}
    for _, outcomes in results:
        for outcome in outcomes:
            versions.update(outcome.versions)
    facts = {
        **facts,
        "system": f"{platform.system()} {platform.machine()}, Python {platform.python_version()}",
        "versions": ", ".join(f"{name} {version}" for name, version in sorted(versions.items())),
    }
    short = short_rows(results, imports) + disagreements(results)
    parts = [
        "# Benchmarks",
        "Written by `scripts/benchmark.py`. Every side runs in its own process and "
        "environment, with the same cores and number of threads; sides take turns within a round, "
        "in alternating order, after two uncounted runs. A ratio is the median over the rounds of "
        "(seconds of the peer) / (seconds of ours): above 1 we are faster.",
        "## Ratios",
        markdown_table(RATIO_HEADER, ratio_rows(results)),
    ]
    if imports:
        parts += ["## Import time", markdown_table(IMPORT_HEADER, import_rows(imports))]
    parts += [
        "## What fell short",
        "\n".join(f"- {line}" for line in short) or "Nothing: every target is reached.",
        differences(results),
        "## Absolute medians",
        "The first run includes tracing and compilation.",
        markdown_table(ABSOLUTE_HEADER, absolute_rows(results)),
        "## What is measured",
        method(results, imports),
        "## Conditions",
        "\n".join(f"- {name}: {value}" for name, value in facts.items()),
    ]
    return "\n\n".join(filter(None, parts)) + "\n"


# How a peer's work differs from ours, by cases and peer; a page has those it measured.
DIFFERENCES = {
    (("encode", "train"), "transformers"): """\
- encode and train step: on torch, every layer passes through Keras' `__call__`.""",
    (("load",), "transformers"): """\
- load: transformers maps the file of weights into memory and builds no graph; reading and building
  (`read bytes + build`) are most of our time.""",
    (("generate",), "after 32 tokens"): """\
- a token late in a text: a step reads 35 MB of keys and values (4 rows of 480 tokens, 6 layers,
  float32) beside 89 MB of weights, the early one 5 MB: 1.3 times the bytes, whatever the code.""",
    (("crf_loss",), "pytorch-crf"): """\
- CRF: profiled first. On torch the 128 steps of the recursion over logarithms took 12 ms of 15, on
  TensorFlow most of 6. Where scores are moderate (transitions within 10, emissions of a position
  within 30; under BIO rules transitions within 5 and emissions within 32, say) the recursion now
  runs over scaled numbers: both directions are one product with a block-diagonal matrix, eight
  positions a step. With larger scores the old recursion over logarithms runs, at its old speed.
- Products of the matrices of eight positions, all such chunks at once (32 steps in place of 128),
  gave the same numbers and no gain: on torch each `keras.ops` call costs 10 to 40 µs, and it took
  more calls.
- CRF loss on torch: what is left is some hundred small eager operations, against a compiled graph
  of the ancestor.
- Viterbi in the graph on TensorFlow: eight positions a step, as in the loss, took 3.8 ms of CPU
  time in place of 4.7 (JAX: 0.5 for 0.4; torch: no change).
- Viterbi in the graph on torch: two scans of 128 eager steps. Looking up all predecessors at once
  and following them by one-hot products took 9 ms of CPU time in place of 13 there, but made
  TensorFlow (5.8 ms for 4.5) and JAX (1.0 for 0.4) slower, and was taken back.""",
    (("memm_head",), "softmax"): """\
- MEMM: a softmax has nothing to do but its softmax; the MEMM has to find the label before
  each position (a sort and two gathers of integers) and to add its row of the transitions. The
  gather of that row, whose gradient was slow, has become a product with one-hot labels.""",
    (("train_ema", "train_layerwise"), "plain"): """\
- EMA and rates by path: a step of 1,024 tokens is short beside 22.6 million weights, each of which
  EMA reads and writes once more; rates by path copy the weights they scale. On torch each made
  three new tensors of the weights' size and cost 1.11 and 1.09 steps; interpolating in place made
  it 1.03 and 1.04.""",
}

METHOD = {
    "encode": """\
- **encode**: `predict_on_batch` (torch: a call in inference mode) on 16 rows of 64 to 128 tokens
  padded to 128, sizes of MiniLM-L6-H384 (6 layers, 12 heads, 30,522 tokens).""",
    "train": """\
- **train step**: a classifier of two classes of MiniLM-L6-H384's sizes on 16 rows of 64 to 128
  tokens padded to 128, dropout 0.1 everywhere, AdamW (the ancestor: Adam), `compile` and `fit`
  with defaults, on TensorFlow, all sides, from a dataset that does not tune itself, since the end
  of one that does often waits, doing nothing; transformers: a plain loop.""",
    "epoch": """\
- **epoch**: the texts of the sample in batches of 32, encoded beforehand on both sides. Ours:
  `DataGenerator` with length bucketing; the ancestor: random order, padded to the longest row.""",
    "tokenize": """\
- **tokenize**: ids and character offsets; the ancestor: `tokenize`, `tokens_to_ids`, `rematch`.""",
    "generate": """\
- **generate**: 4 random prompts of 32 tokens, 64 new ones, nothing ends early; greedy. Ours: BERT
  of MiniLM's size under `application="lm"`; keras-hub: GPT-2 of that size, compiled; the ancestor:
  its `AutoRegressiveDecoder`. Beam search: ours against our greedy search, where at most 2.5 times
  the time is a ratio of at least 0.4. A token late in a text: 32 new tokens behind 448 against
  those behind 32; at most 1.5 times the time is a ratio of at least 0.67.""",
    "crf_decode": """\
- **CRF Viterbi, numpy**: `decode` of 32 rows of 128 random scores of 9 labels; pytorch-crf's
  `decode` of the batch, the ancestor's `ViterbiDecoder` row by row. All have the same scores.""",
    "crf_loss": """\
- **CRF loss and gradient**: mean loss on those scores and random labels and its gradient by scores
  and weights, compiled (torch and pytorch-crf: eager).""",
    "crf_train": """\
- **CRF train step**: `fit` with Adam of a `Dense` of 9 labels on 64 random features a token, and
  the CRF; 32 rows of 128 tokens; pytorch-crf: a plain loop.""",
    "crf_viterbi": """\
- **CRF Viterbi, by backend**: as in numpy, but ours is `viterbi`, compiled (torch: eager).""",
    "memm_head": """\
- **MEMM train step**: `fit` with a MEMM against a softmax per token; at most 1.05 times the time is
  a ratio of at least 0.95. Head alone: as the CRF train step. MiniLM's size: as the train step,
  9 labels a token.""",
    "train_fgm": """\
- **techniques**: `fit` of the classifier of the train step, 16 rows of 64 tokens, with a technique
  against the same without; at most 2.2 times the time (FGM) is a ratio of at least 0.45. On
  TensorFlow both read a dataset that does not tune itself: of one that does, the end often waits,
  doing nothing, and that wait would be measured.""",
    "load": """\
- **load**: `build_transformer_model(directory)` against reading the file's bytes and building the
  model from its config; the target, 1.5 times that, is a ratio of at least 0.67.""",
    "import": "- **import**: fresh processes.",
}


def differences(results: list[tuple[Contest, list[Outcome]]]) -> str:
    """Return the lines of `DIFFERENCES` whose case and peer were measured."""
    measured = {(contest.case, o.side.label) for contest, outcomes in results for o in outcomes}
    lines = [
        text
        for (cases, peer), text in DIFFERENCES.items()
        if any((case, peer) in measured for case in cases)
    ]
    head = "What the sides do differently, and what was tried:"
    return "\n".join([head, "", *lines]) if lines else ""


def method(results: list[tuple[Contest, list[Outcome]]], imports: list[dict]) -> str:
    """Return the lines of `METHOD` about what was measured."""
    measured = {contest.case for contest, _ in results} | ({"import"} if imports else set())
    return "\n".join(text for case, text in METHOD.items() if case in measured)
