"""Draw which keys each query sees under sparse masks: docs/guides/sparse_attention.png.

    python scripts/plot_sparse_masks.py [picture.png]

Needs matplotlib.
"""

from __future__ import annotations

import sys
from pathlib import Path

from bert4keras.masks import LM, Atrous, Local, Mask, Sparse, Window

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "guides" / "sparse_attention.png"
MASKS: dict[str, Mask] = {
    "Window(2)": Window(2),
    "Local(2, rate=3)": Local(2, 3),
    "Atrous(4)": Atrous(4),
    "Sparse(4)": Sparse(4),
    "Sparse(4) & LM()": Sparse(4) & LM(),
}
LENGTH = 17


def draw(path: Path = PICTURE) -> None:
    """Write the picture, a square of queries (rows) and keys (columns) for each mask."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from keras import ops

    index = ops.arange(LENGTH)
    inputs = {"token_ids": ops.ones((1, LENGTH), dtype="int32")}
    size = (2.2 * len(MASKS), 2.8)
    figure, axes = plt.subplots(1, len(MASKS), figsize=size, layout="constrained")
    for (name, mask), axis in zip(MASKS.items(), axes, strict=True):
        visible = ops.convert_to_numpy(mask.visible(inputs, index, index))[0]
        axis.imshow(visible, cmap="Blues", vmin=0, vmax=1.4)
        axis.set_title(name, fontsize=9)
        axis.set_xticks([])
        axis.set_yticks([])
    axes[0].set_ylabel("query")
    figure.supxlabel("key", fontsize=9)
    figure.savefig(path, dpi=80)
    plt.close(figure)


if __name__ == "__main__":
    draw(*map(Path, sys.argv[1:]))
