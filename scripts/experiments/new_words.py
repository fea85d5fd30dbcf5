"""Measure the discovery of words and terms: segmentation, speed and memory, terms of a domain.

  segment  F1 of words on a hand-cut test, by words found in raw text only. min_count is chosen on
           other hand-cut text. Beside it: characters as words, and the dictionary of a hand-cut
           corpus with the same segmenter (the most that a list of words could give).
  speed    processor seconds and peak memory of find_words, and of n-gram counts by numpy and by a
           dictionary of Python, each in its own process, in turns
  terms    the first terms of a domain against a general corpus

Command: python scripts/experiments/new_words.py segment --raw news=a.txt,b.txt --raw reviews=c.txt
             --gold dev.txt test.txt --train train.txt --lexicon words.txt
         python scripts/experiments/new_words.py speed a.txt b.txt --rounds 3
         python scripts/experiments/new_words.py terms --domain poems.txt --general news.txt
The results, and how the texts were made, are in docs/words.md.
"""

from __future__ import annotations

import argparse
import itertools
import re
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from bert4keras.data import read_lines
from bert4keras.text import WordList, find_terms, find_words
from bert4keras.text.corpus import CodedCorpus
from bert4keras.text.ngrams import NGrams
from bert4keras.text.units import UnitVocabulary


def ends(words: list[str]) -> set[tuple[int, int]]:
    """Return (start, end) of each word in its sentence."""
    places = [0, *itertools.accumulate(map(len, words))]
    return set(itertools.pairwise(places))


def scores(cut, gold: list[list[str]]) -> tuple[float, float, float]:
    """Return F1, precision and recall of the words that a function cuts sentences into."""
    right = found = wanted = 0
    for words in gold:
        a, b = ends(words), ends(cut("".join(words)))
        right, found, wanted = right + len(a & b), found + len(b), wanted + len(a)
    return 2 * right / (found + wanted), right / found, right / wanted


def segment(options: argparse.Namespace) -> None:
    """Print a table of segmentation scores."""
    dev, test = ([line.split() for line in read_lines(path) if line] for path in options.gold)
    dev = dev[: options.dev_sentences]
    lexicon = {word.strip() for path in options.lexicon for word in read_lines(path)}
    print(
        "text | characters | min_count | words | dev F1 | test F1 | precision | recall | in lexicon"
    )
    for given in options.raw:
        name, _, files = given.partition("=")
        files = [Path(file) for file in files.split(",")]
        every = []
        for min_count in options.min_counts:
            words = find_words(files, min_count)
            every.append((scores(words.cut, dev)[0], min_count, words))
        best, min_count, words = max(every, key=lambda one: one[0])
        several = [word.text for word in words if len(word.text) > 1]
        share = sum(word in lexicon for word in several) / max(1, len(several))
        size = sum(sum(map(len, read_lines(file))) for file in files)
        row = [name, size, min_count, len(words), best, *scores(words.cut, test), share]
        print(*(f"{x:.3f}" if isinstance(x, float) else x for x in row), sep=" | ", flush=True)
    print("each character a word:", scores(list, test))
    for path in options.train:
        counts = Counter(word for line in read_lines(path) for word in line.split())
        words = WordList(known(counts).items())
        print(f"dictionary of {path.name}: {len(words)} words", scores(words.cut, test))


def known(counts: Counter[str]) -> Counter[str]:
    """Return counts of the words that a `WordList` can hold, added up over case and width."""
    vocabulary, found = UnitVocabulary(), Counter()
    for word, count in counts.items():
        codes = vocabulary.encode(word)
        if codes.all():
            found[vocabulary.join(codes.tolist())] += count
    return found


def by_dictionary(files: list[Path], min_count: int) -> int:
    """Count all n-grams, n = 1..4, in a dictionary; return how many are frequent."""
    counts: dict[str, int] = {}
    for file in files:
        for piece in re.findall(r"\w+", file.read_text(encoding="utf-8")):
            for n in range(1, 5):
                for i in range(len(piece) - n + 1):
                    ngram = piece[i : i + n]
                    counts[ngram] = counts.get(ngram, 0) + 1
    return sum(count >= min_count for count in counts.values())


def by_numpy(files: list[Path], min_count: int) -> int:
    """Do the same by `NGrams`."""
    with CodedCorpus(files, UnitVocabulary()) as corpus:
        return sum(map(len, NGrams.count(corpus, 4, min_count).keys))


MEASURED = {"find_words": find_words, "numpy": by_numpy, "dictionary": by_dictionary}


def speed(options: argparse.Namespace) -> None:
    """Print the medians of seconds and memory; each measurement has its own process."""
    if options.only:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        start = time.process_time()  # the machine may have other work
        found = MEASURED[options.only](options.files, 32)
        seconds = time.process_time() - start
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        print(seconds, before / 1e6, after / 1e6, found if isinstance(found, int) else len(found))
        return
    results: dict[str, list] = {name: [] for name in options.of}
    for _ in range(options.rounds):
        for name, rows in results.items():
            command = [sys.executable, __file__, "speed", "--only", name, *map(str, options.files)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            rows.append([float(figure) for figure in done.stdout.split()])
    size = sum(file.stat().st_size for file in options.files) / 1e6
    print(f"{size:.1f} MB; medians of {options.rounds} rounds")
    for name, rows in results.items():
        seconds, before, after, found = map(statistics.median, zip(*rows, strict=True))
        every = ", ".join(f"{row[0]:.1f}" for row in rows)
        print(
            f"{name}: {seconds:.1f} s ({every}), peak {after:.2f} GB, of which {before:.2f} GB "
            f"before it began; found {found:.0f}"
        )
    if not {"dictionary", "numpy"} <= set(results):
        return
    ratios = [a[0] / b[0] for a, b in zip(results["dictionary"], results["numpy"], strict=True)]
    print(f"dictionary / numpy: {statistics.median(ratios):.1f}")


def terms(options: argparse.Namespace) -> None:
    """Print the first terms with their figures."""
    found = find_terms(options.domain, options.general, options.min_count, seeds=options.seeds)
    print(f"{len(found)} terms")
    for term in found[: options.count]:
        print(f"{term.text}\t{term.score:.0f}\t{term.count}\t{term.general_count}")


def main() -> None:
    """Run one of the measurements."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(required=True)
    one = commands.add_parser("segment")
    one.set_defaults(run=segment)
    one.add_argument("--raw", action="append", required=True, metavar="NAME=FILE,FILE,...")
    one.add_argument("--gold", nargs=2, type=Path, required=True, metavar=("DEV", "TEST"))
    one.add_argument("--min-counts", nargs="+", type=int, default=(4, 8, 16, 32))
    one.add_argument("--dev-sentences", type=int, default=2000)
    one.add_argument("--train", nargs="*", type=Path, default=[], help="hand-cut corpora")
    one.add_argument("--lexicon", nargs="*", type=Path, default=[], help="a word on each line")
    one = commands.add_parser("speed")
    one.set_defaults(run=speed)
    one.add_argument("files", nargs="+", type=Path)
    one.add_argument("--rounds", type=int, default=3)
    one.add_argument("--of", nargs="+", choices=MEASURED, default=list(MEASURED))
    one.add_argument("--only", choices=MEASURED, help="one measurement, in this process")
    one = commands.add_parser("terms")
    one.set_defaults(run=terms)
    one.add_argument("--domain", nargs="+", type=Path, required=True)
    one.add_argument("--general", nargs="+", type=Path, required=True)
    one.add_argument("--min-count", type=int, default=8)
    one.add_argument("--seeds", nargs="*", default=[])
    one.add_argument("--count", type=int, default=10)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
