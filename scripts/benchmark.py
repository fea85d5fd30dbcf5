#!/usr/bin/env python
"""Measure against keras-hub, transformers, pytorch-crf and the ancestor, as ratios in one run.

    python scripts/benchmark.py --install            # the peers' environments, once
    python scripts/benchmark.py                      # everything; writes docs/benchmarks.md
    python scripts/benchmark.py --cases encode tokenize --quick

Each side runs in its own process, which stays alive. Sides take turns; medians are compared.
A run over all cases writes docs/benchmarks.md; a partial or quick one only prints, unless
--output names a file.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
import tempfile
from pathlib import Path

from benchmarks import cases, environments, imports, inputs, report
from benchmarks.contest import contest, pin

ROOT = Path(__file__).resolve().parent.parent
SAMPLES = (  # the first that is there
    ROOT.parent / "shared" / "data" / "classification" / "sst2" / "train.tsv.xz",
    ROOT / "examples" / "datasets" / "reviews" / "train.tsv",
)


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    peers = list(environments.PEERS)
    parser.add_argument("--install", nargs="*", choices=peers, help="make environments and stop")
    parser.add_argument("--env", action="append", default=[], metavar="PEER=DIRECTORY")
    parser.add_argument("--cases", nargs="+", choices=cases.NAMES, default=list(cases.NAMES))
    parser.add_argument(
        "--backends", nargs="+", choices=cases.BACKENDS, default=list(cases.BACKENDS)
    )
    parser.add_argument("--rounds", type=int, help="counted rounds (11; 3 with --quick)")
    parser.add_argument("--threads", type=int, help="cores and threads of a side (all)")
    parser.add_argument(
        "--clock",
        choices=("wall", "cpu"),
        default="wall",
        help="cpu: time of the side's process, for one thread on a busy machine (wall)",
    )
    parser.add_argument("--quick", action="store_true", help="small: shows that it runs")
    parser.add_argument("--minilm", type=Path, help="directory of MiniLM-L6 (else it is fetched)")
    parser.add_argument("--samples", type=Path, help=".tsv with a sentence and a label column")
    parser.add_argument("--output", type=Path, help="markdown file to write")
    parser.add_argument("--log", type=Path, help="file for what the sides print")
    return parser.parse_args()


def lay_down_samples(arguments: argparse.Namespace, directory: str) -> tuple[str, str]:
    """Write the sample for the workers; return its path and a description."""
    source = arguments.samples or next((path for path in SAMPLES if path.exists()), None)
    if source is None:
        sys.exit("There are no sentences to measure with: pass --samples FILE.tsv.")
    rows = inputs.read_labelled(source, 256 if arguments.quick else 2000)
    path = Path(directory) / "samples.json"
    path.write_text(json.dumps(rows), encoding="utf-8")
    words = sum(len(text.split()) for text, _ in rows) / len(rows)
    return str(path), f"{len(rows)} from {'/'.join(source.parts[-2:])}, {words:.1f} words each"


def run(arguments: argparse.Namespace, peers: dict[str, str], checkpoint: Path) -> None:
    threads = arguments.threads or len(pin(10_000) or range(os.cpu_count()))
    rounds = arguments.rounds or (3 if arguments.quick else 11)
    results, import_times = [], []
    with (
        tempfile.TemporaryDirectory() as directory,
        open(arguments.log or os.devnull, "w", encoding="utf-8") as log,
    ):
        samples, sentences = lay_down_samples(arguments, directory)
        options = {"samples": samples, "steps": 2 if arguments.quick else 8}
        options |= {"checkpoint": str(checkpoint), "vocabulary": str(checkpoint / "vocab.txt")}
        for item in cases.contests(arguments.cases, arguments.backends, peers):
            print(f"{item.title} ...", flush=True)
            outcomes = contest(
                item.sides, item.case, options, rounds, threads, log, arguments.clock
            )
            results.append((item, outcomes))
        if "import" in arguments.cases:
            print("import ...", flush=True)
            import_times = imports.measure(max(rounds, 7), arguments.backends, threads)
    report.print_report(results, import_times)
    output = arguments.output
    whole = set(arguments.cases) == set(cases.NAMES) and not arguments.quick
    if output is None and whole:
        output = ROOT / "docs" / "benchmarks.md"
    if output:
        facts = {
            "cores and threads of each side": str(threads),
            "rounds": str(rounds),
            "sentences": sentences,
            "command": f"`python scripts/benchmark.py {shlex.join(public_arguments())}`",
        }
        page = report.markdown(results, import_times, facts)
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary = output.with_suffix(".tmp")
        temporary.write_text(page, encoding="utf-8")
        os.replace(temporary, output)
        print(f"wrote {output}")


def public_arguments() -> list[str]:
    """Return the command's arguments without directories, which mean nothing elsewhere."""
    kept, skip = [], False
    for argument in sys.argv[1:]:
        name = argument.partition("=")[0]
        private = name in ("--env", "--minilm", "--samples", "--output", "--log")
        if not (skip or private):
            kept.append(argument)
        skip = private and "=" not in argument
    return kept


def main() -> None:
    arguments = parse()
    if arguments.install is not None:
        environments.install(arguments.install or list(environments.PEERS))
        return
    peers = environments.interpreters(arguments.env)
    for name in environments.PEERS:
        if name not in peers:
            print(f"{name}: left out, not installed (python scripts/benchmark.py --install {name})")
    run(arguments, peers, environments.minilm_directory(arguments.minilm))


if __name__ == "__main__":
    main()
