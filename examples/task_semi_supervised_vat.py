"""Virtual adversarial training of a text classifier: a few texts with a label, more without.

Task: praise or complaint; with your own files, any number of classes. The labels of all but the
      first 200 training texts are thrown away. VAT learns from all texts; beside it VAT on the 200
      alone, and plain fine-tuning on them; each for as many steps.
Data: examples/datasets/reviews (English, written for this project, Apache-2.0), or your own TSV,
`text<TAB>label`, *.xz too; rows of --unlabelled, and those with a negative label, have none.
Command: python examples/task_semi_supervised_vat.py [--labelled 200] [--unlabelled more.tsv]
Seen: reviews, seed 1: test accuracy 0.7562 with VAT on all texts, 0.7875 with VAT on the labelled
      ones, plain 0.8125 (one standard error: 0.03); 6 min on one CPU core.
"""

from __future__ import annotations

import math
import sys
from pathlib import Path

import classification
import common

from bert4keras.training import VAT


@common.script
def main() -> None:
    parser = classification.arguments(__doc__)
    parser.add_argument("--labelled", type=int, default=200, help="so many rows keep their label")
    parser.add_argument("--unlabelled", type=Path, help="TSV of further texts; labels are not read")
    parser.add_argument("--epsilon", type=float, default=1.0, help="length of the perturbation")
    options = parser.parse_args()
    task = classification.Classifier(options, unlabelled=True)
    rows = [row for row in task.train if row[1] >= 0]
    labelled, rest = rows[: options.labelled], rows[options.labelled :]
    rest += [row for row in task.train if row[1] < 0]
    if options.unlabelled:
        rest += common.read_tsv(options.unlabelled, (0, 1))
    if not (labelled and rest):
        sys.exit(f"{len(labelled)} texts with a label and {len(rest)} without: there must be both.")
    common.classes({"train": labelled}, f"the first {len(labelled)} rows of {options.train}")
    print(f"{len(labelled)} texts with a label, {len(rest)} without")
    everything = labelled + [(text, -1) for text, _ in rest]
    # Without the others an epoch is shorter: as many more of them.
    epochs = math.ceil(options.epochs * len(everything) / len(labelled))
    few = {"rows": labelled, "epochs": epochs}
    technique = VAT(options.epsilon)
    task.compare(
        {
            "plain, labelled texts": {"techniques": [], **few},
            f"{technique}, labelled texts": {"techniques": [technique], **few},
            f"{technique}, all texts": {"techniques": [technique], "rows": everything},
        }
    )


if __name__ == "__main__":
    main()
