"""The cases that are measured, the sides of each, and the ratios to reach."""

from __future__ import annotations

import dataclasses
import sys

from .contest import Side

NAMES = ("encode", "train", "pretrain", "epoch", "tokenize", "generate", "crf", "memm")
NAMES += ("techniques", "load", "openvino", "import")
BACKENDS = ("tensorflow", "jax", "torch")
OURS = "bert4keras"


@dataclasses.dataclass(frozen=True)
class Contest:
    """A case on one backend, with the sides that run it.

    Args:
        case: function of the sides' ``CASES``.
        title: what the table calls it.
        unit: what the seconds are for.
        sides: ours first, then the peers.
        target: lowest ratio peer / ours that counts as reached.
        judged: labels of the peers that the target applies to; the others are for orientation.
    """

    case: str
    title: str
    unit: str
    sides: list[Side]
    target: float
    judged: tuple[str, ...]


def contests(wanted: list[str], backends: list[str], peers: dict[str, str]) -> list[Contest]:
    """Return the contests of the wanted cases, with the peers whose environments exist."""
    makers = {"encode": on_backends, "train": on_backends, "pretrain": pretrain, "epoch": epoch}
    makers |= {"tokenize": tokenize, "generate": generate, "crf": crf, "memm": memm, "load": load}
    makers |= {"techniques": techniques, "openvino": openvino}
    found = []
    for case in wanted:
        if case in makers:
            found += makers[case](case, backends, peers)
    return found


def ours(backend: str, label: str = OURS, **fields) -> Side:
    return Side(label, "ours", sys.executable, backend, **fields)


def on_backends(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    title, unit = {
        "encode": ("encode 16x128", "batch"),
        "train": ("train step 16x128", "step"),
    }[case]
    found = []
    for backend in backends:
        sides = [ours(backend)]
        if "keras-hub" in peers:
            sides.append(Side("keras-hub", "hub", peers["keras-hub"], backend))
        if backend == "torch" and "transformers" in peers:
            sides.append(Side("transformers", "hugging_face", peers["transformers"]))
        if backend == "tensorflow" and "ancestor" in peers:
            sides.append(Side("ancestor", "ancestor", peers["ancestor"]))
        judged = tuple(side.label for side in sides[1:])
        found.append(Contest(case, f"{title}, {backend}", unit, sides, 1.0, judged))
    return found


def pretrain(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    found = []
    for backend in backends:
        sides = [ours(backend)]
        if "transformers" in peers:
            sides.append(Side("transformers", "hugging_face", peers["transformers"]))
        target = 1.0 if backend == "torch" else 1.2  # transformers is on torch
        title = f"masked LM from texts 16x128, {backend}"
        found.append(Contest(case, title, "step", sides, target, ("transformers",)))
    return found


def epoch(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    # The control shows how much of the gain comes from bucketing only.
    unbucketed = {"generator": {"buckets": None, "pool": 1}}
    sides = [ours("tensorflow"), ours("tensorflow", f"{OURS}, no bucketing", options=unbucketed)]
    if "ancestor" in peers:
        sides.append(Side("ancestor", "ancestor", peers["ancestor"]))
    title = "epoch over real lengths, tensorflow"
    return [Contest(case, title, "epoch", sides, 1.5, ("ancestor",))]


def tokenize(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    sides = [
        ours("tensorflow"),
        ours("tensorflow", f"{OURS}, one thread", case="tokenize_serial"),
    ]
    if "ancestor" in peers:
        sides.append(Side("ancestor", "ancestor", peers["ancestor"]))
    if "transformers" in peers:
        sides.append(Side("transformers", "hugging_face", peers["transformers"]))
    title = "tokenize, ids and offsets"
    return [Contest(case, title, "line", sides, 8.0, ("ancestor",))]


def generate(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    found = []
    for backend in backends:
        title = f"generate 4x64, {backend}"
        sides = [ours(backend)]
        if "keras-hub" in peers:
            sides.append(Side("keras-hub", "hub", peers["keras-hub"], backend))
            found.append(Contest(case, title, "batch", sides, 1.0, ("keras-hub",)))
        if backend == "torch" and "transformers" in peers:
            sides = [ours(backend), Side("transformers", "hugging_face", peers["transformers"])]
            found.append(Contest(case, title, "batch", sides, 1.0, ("transformers",)))
        if backend == "tensorflow" and "ancestor" in peers:
            sides = [ours(backend), Side("ancestor", "ancestor", peers["ancestor"])]
            found.append(Contest(case, title, "batch", sides, 7.0, ("ancestor",)))
        # At most 2.5 times the time of greedy is a ratio greedy / beam of at least 1 / 2.5.
        greedy = ours(backend, "greedy", case="generate")
        sides = [ours(backend, f"{OURS}, 4 beams", case="generate_beam"), greedy]
        found.append(
            Contest(case, f"beam search 4x64, {backend}", "batch", sides, 1 / 2.5, ("greedy",))
        )
        short = ours(backend, "after 32 tokens", case="generate_short")
        sides = [ours(backend, "after 448 tokens", case="generate_long"), short]
        title = f"a token late in a text, {backend}"
        found.append(Contest(case, title, "token", sides, 1 / 1.5, (short.label,)))
    return found


def crf(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    others = [
        Side(name, module, peers[name])
        for name, module in (("ancestor", "ancestor"), ("pytorch-crf", "pytorch_crf"))
        if name in peers
    ]
    judged = tuple(side.label for side in others)

    def contest(case: str, title: str, unit: str, backend: str) -> Contest:
        return Contest(case, title, unit, [ours(backend), *others], 2.0, judged)

    found = [contest("crf_decode", "CRF Viterbi 32x128x9, numpy", "batch", "tensorflow")]
    for backend in backends:
        found += [
            contest("crf_loss", f"CRF loss and gradient 32x128x9, {backend}", "step", backend),
            contest("crf_train", f"CRF train step 32x128x9, {backend}", "step", backend),
            contest("crf_viterbi", f"CRF Viterbi 32x128x9, {backend}", "batch", backend),
        ]
    return found


def memm(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    found = []
    for backend in backends:
        for part, title in (("head", "head only 32x128x9"), ("model", "MiniLM's size 16x128")):
            softmax = ours(backend, "softmax", case=f"softmax_{part}")
            sides, title = [ours(backend), softmax], f"MEMM train step, {title}, {backend}"
            # At most 1.05 times the time of the softmax is a ratio of at least 1 / 1.05.
            found.append(Contest(f"memm_{part}", title, "step", sides, 1 / 1.05, (softmax.label,)))
    return found


# How many times as long as a plain step a training step with the technique may take.
TECHNIQUES = {"fgm": 2.2, "gradient_penalty": 3.0, "vat": 3.2, "r_drop": 2.1}
TECHNIQUES |= {"lookahead": 1.05, "ema": 1.05, "layerwise": 1.05}


def openvino(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    """The backend that only predicts, in both precisions, against those that also train."""
    bf16 = {"environment": {"BERT4KERAS_OPENVINO_PRECISION": "bf16"}}
    runs = {
        "encode": ("encode 16x128", "batch"),
        "sentences": ("SentenceEncoder.predict", "sentence"),
        "generate": ("generate 4x64", "batch"),
    }
    found = []
    for name, (title, unit) in runs.items():
        sides = [ours("openvino", "OpenVINO, float32", case=name)]
        sides.append(ours("openvino", "OpenVINO, bfloat16", case=name, options=bf16))
        sides += [ours(backend, backend, case=name) for backend in backends]
        found.append(Contest(case, title, unit, sides, 1.0, tuple(backends)))
    return found


def techniques(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    found = []
    for backend in backends:
        for name, most in TECHNIQUES.items():
            plain = ours(backend, "plain", case="train_plain")
            title = f"train step 16x64, {name}, {backend}"
            sides = [ours(backend), plain]
            found.append(Contest(f"train_{name}", title, "step", sides, 1 / most, ("plain",)))
    return found


def load(case: str, backends: list[str], peers: dict[str, str]) -> list[Contest]:
    found = []
    for backend in backends:
        floor = ours(backend, "read bytes + build", case="load_floor")
        sides = [ours(backend), floor]
        if backend == "torch" and "transformers" in peers:
            sides.append(Side("transformers", "hugging_face", peers["transformers"]))
        # at most 1.5 times the floor is a ratio floor / ours of at least 1 / 1.5
        title = f"load MiniLM, {backend}"
        found.append(Contest(case, title, "load", sides, 1 / 1.5, (floor.label,)))
    return found
