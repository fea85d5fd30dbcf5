"""Find the words of a corpus without a dictionary; in a language with blanks, its fixed phrases.

    python scripts/find_words.py corpus.txt more.txt.gz --min-count 32 --output words.tsv
    python scripts/find_words.py corpus.txt --format jieba --min-length 1 --output words.txt

A file is plain text (UTF-8 or --encoding), also *.gz or *.xz, of any size. Columns of the table:
the word, its count, and the mutual information at its weakest place. --format jieba writes a
dictionary for jieba and for bert4keras.text.WordList.load; --min-length 1 adds the single
characters that cutting texts with it needs.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bert4keras.text import find_words
from word_output import discovery_options, make_parser, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = make_parser("find_words", __doc__)
    parser.add_argument("files", nargs="+", type=Path, help="text files")
    options = parser.parse_args(arguments)
    return run(lambda: find_words(options.files, **discovery_options(options)), options)


if __name__ == "__main__":
    sys.exit(main())
