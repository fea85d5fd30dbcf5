"""Draw the densities that models learn from two half moons: docs/guides/densities.png.

    python scripts/plot_densities.py [picture.png]

Needs matplotlib, and a minute of a CPU core.
"""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np

from bert4keras.latent import Density, Glow, RealNVP, ScoreModel

PICTURE = Path(__file__).resolve().parent.parent / "docs" / "guides" / "densities.png"
EDGES = np.linspace(-1.7, 2.7, 111), np.linspace(-1.3, 1.8, 111)


def two_moons(count: int, seed: int) -> np.ndarray:
    """Return points (N, 2) of two half circles that reach into each other, with noise."""
    random = np.random.default_rng(seed)
    angle, upper = random.uniform(0, np.pi, count), random.integers(0, 2, count).astype(bool)
    x = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    x = np.where(upper[:, None], x, [1, 0.5] - x)
    return (x + random.normal(0, 0.1, x.shape)).astype("float32")


def models() -> dict[str, Density]:
    """Return the models to train, by the titles of their panels."""
    return {
        "RealNVP": RealNVP(8, 64),
        "Glow": Glow(8, 64, seed=0),
        "ScoreModel": ScoreModel(smallest=0.1, largest=3.0, levels=8, units=128, blocks=2),
    }


def train(model: Density, points: np.ndarray, epochs: int) -> None:
    """Fit a model by Adam with a falling rate."""
    steps = epochs * -(-len(points) // 256)
    model.compile(keras.optimizers.Adam(keras.optimizers.schedules.CosineDecay(5e-3, steps)))
    model.fit(points, batch_size=256, epochs=epochs, verbose=0)


def density(model: Density) -> np.ndarray:
    """Return p(x) on the grid, divided by its mass there, which a score model does not know."""
    grid = np.stack(np.meshgrid(*EDGES), axis=-1).astype("float32")
    energies = model.predict(grid.reshape(-1, 2), batch_size=4096, verbose=0)
    values = np.exp(energies.min() - energies).reshape(grid.shape[:2])
    cell = (EDGES[0][1] - EDGES[0][0]) * (EDGES[1][1] - EDGES[1][0])
    return values / (values.sum() * cell)


def draw(points: np.ndarray, panels: dict[str, np.ndarray], path: Path = PICTURE) -> None:
    """Write the picture: the points, and each density in a panel of the same axes."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    size = (2.4 * (1 + len(panels)), 2.1)
    figure, axes = plt.subplots(1, 1 + len(panels), figsize=size, layout="constrained")
    axes[0].scatter(*points[:1000].T, s=1)
    axes[0].set_title("known vectors", fontsize=9)
    axes[0].set(xlim=EDGES[0][[0, -1]], ylim=EDGES[1][[0, -1]])
    for axis, (name, values) in zip(axes[1:], panels.items(), strict=True):
        axis.pcolormesh(*EDGES, values, shading="nearest", cmap="Blues", rasterized=True)
        axis.set_title(name, fontsize=9)
    for axis in axes:
        axis.set_xticks([])
        axis.set_yticks([])
    figure.savefig(path, dpi=80)
    plt.close(figure)


def main(path: Path = PICTURE, epochs: int = 60) -> None:
    points, panels = two_moons(4000, seed=0), {}
    for name, model in models().items():
        keras.utils.set_random_seed(1)
        train(model, points, epochs)
        if name != "ScoreModel":
            found = model.evaluate(two_moons(2000, seed=1), verbose=0)
            print(f"{name}: {found:.3f} nats a point that was not learnt from", flush=True)
        panels[name] = density(model)
    draw(points, panels, path)


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
