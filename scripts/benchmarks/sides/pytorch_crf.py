"""pytorch-crf, in a plain eager loop."""

from __future__ import annotations

import os
from importlib.metadata import version

import torch
import torchcrf

from benchmarks import inputs

torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def versions() -> dict[str, str]:
    return {"pytorch-crf": version("pytorch-crf"), "torch": torch.__version__}


def field(data: dict) -> torchcrf.CRF:
    """Return a CRF with the transitions that all sides have; the scores of its ends are 0 here."""
    crf = torchcrf.CRF(inputs.LABELS, batch_first=True)
    with torch.no_grad():
        crf.start_transitions.zero_()
        crf.end_transitions.zero_()
        crf.transitions.copy_(torch.from_numpy(data["transitions"]))
    return crf


def crf_loss(options: dict):
    data, steps = inputs.labelling(), options["steps"]
    crf, labels = field(data), torch.from_numpy(data["labels"]).long()
    emissions = torch.from_numpy(data["emissions"]).requires_grad_(True)

    def run() -> float:
        for _ in range(steps):
            loss = -crf(emissions, labels, reduction="mean")
            loss.backward()
        return loss.item()

    return run, steps


def crf_train(options: dict):
    steps = options["steps"] * inputs.HEAD_STEPS
    data = inputs.labelling(steps)
    features, labels = (torch.from_numpy(data[name]) for name in ("features", "labels"))
    dense, crf = torch.nn.Linear(features.shape[-1], inputs.LABELS), field(data)
    weights = [*dense.parameters(), *crf.parameters()]
    optimizer = torch.optim.Adam(weights, lr=inputs.LEARNING_RATE)
    batches = [
        *zip(
            features.split(inputs.LABELLED_BATCH),
            labels.long().split(inputs.LABELLED_BATCH),
            strict=True,
        )
    ]

    def run() -> None:
        for x, y in batches:
            loss = -crf(dense(x), y, reduction="mean")
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()

    return run, steps


def crf_decode(options: dict):
    data, steps = inputs.labelling(), options["steps"]
    crf, emissions = field(data), torch.from_numpy(data["emissions"])

    def run() -> float:
        with torch.inference_mode():
            for _ in range(steps):
                rows = crf.decode(emissions)
        return sum(map(sum, rows))

    return run, steps


CASES = {
    "crf_loss": crf_loss,
    "crf_train": crf_train,
    "crf_decode": crf_decode,
    "crf_viterbi": crf_decode,
}
