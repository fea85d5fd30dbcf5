"""Find the words of a text without a dictionary, and cut other texts with them.

Characters that occur together more often than chance are joined: no labels, no training.
Data: the texts of examples/datasets/segmentation without their blanks, 800 lines, written for this
project, Apache-2.0; the test lines with blanks are only for the score. --corpus takes your own.
Command: python basic_new_words.py [--corpus FILE ... --min-count 8] [--text "A text."]
             [--save FILE]
Seen: word F1 0.5718 (each character a word: 0.3993) from 10,355 characters; 5 s on one core.
Source: Su Jianlin, 2019 (kexue.fm/archives/6920).
"""

import argparse
import itertools
from pathlib import Path

from bert4keras.data import read_lines
from bert4keras.text import find_words

DATA = Path(__file__).resolve().parent / "datasets" / "segmentation"


def word_f1(cut, sentences: list[list[str]]) -> float:
    """F1 of the words into which a function cuts sentences, against those given."""
    right = total = 0
    for words in sentences:
        found = cut("".join(words))
        ends = [[0, *itertools.accumulate(map(len, one))] for one in (words, found)]
        a, b = (set(itertools.pairwise(places)) for places in ends)
        right, total = right + 2 * len(a & b), total + len(a) + len(b)
    return right / total


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--corpus", type=Path, nargs="+", help="text files, also *.gz and *.xz")
    parser.add_argument("--min-count", type=int, default=8, help="default: %(default)s")
    parser.add_argument("--min-pmi", type=float, nargs=4, default=(0, 2, 4, 6), metavar="PMI")
    parser.add_argument("--text", default="老师特别喜欢这个方法，市长有点满意。")
    parser.add_argument("--save", type=Path, help="file for the words, a dictionary as of jieba")
    options = parser.parse_args()

    corpus = options.corpus
    if corpus is None:
        corpus = ["".join(line.split()) for line in read_lines(DATA / "train.txt")]
    words = find_words(corpus, min_count=options.min_count, min_pmi=options.min_pmi)

    print(words)
    for word in [word for word in words if len(word.text) > 1][:10]:
        print(f"{word.text}  {word.count} times, mutual information {word.pmi:.1f}")
    print(" / ".join(words.cut(options.text)))
    if options.corpus is None:
        test = [line.split() for line in read_lines(DATA / "test.txt")]
        print(
            f"test: f1 {word_f1(words.cut, test):.4f}, single characters {word_f1(list, test):.4f}"
        )
    if options.save:
        words.save(options.save)


if __name__ == "__main__":
    main()
