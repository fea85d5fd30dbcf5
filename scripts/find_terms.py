"""Find the terms of a domain: words that its texts have more often than general text.

    python scripts/find_terms.py --domain contracts.txt --general news.txt --output terms.tsv
    python scripts/find_terms.py --domain reviews.txt --general news.txt --seeds 酒店 房间

A file is plain text (UTF-8 or --encoding), also *.gz or *.xz, of any size. Columns: the term, its
log-likelihood ratio, its counts in both corpora, how much more frequent it is in the domain, its
mutual information in both, and, with --seeds, the steps from a seed and the last step's cosine.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from bert4keras.text import find_terms
from word_output import discovery_options, make_parser, run


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = make_parser("find_terms", __doc__)
    add = parser.add_argument
    add("--domain", nargs="+", type=Path, required=True, help="text files of the domain")
    add("--general", nargs="+", type=Path, required=True, help="text files of general content")
    add("--min-score", type=float, default=10.83, help="log-likelihood ratio (%(default)s)")
    add("--min-ratio", type=float, default=2.0, help="least ratio of frequencies (%(default)s)")
    add("--seeds", nargs="+", default=[], help="known terms, from which others are reached")
    add("--min-similarity", type=float, default=0.5, help="cosine of the first step (%(default)s)")
    options = parser.parse_args(arguments)
    figures = {name: getattr(options, name) for name in ("min_score", "min_ratio")}
    figures |= {"seeds": options.seeds, "min_similarity": options.min_similarity}
    return run(
        lambda: find_terms(
            options.domain, options.general, **figures, **discovery_options(options)
        ),
        options,
    )


if __name__ == "__main__":
    sys.exit(main())
