"""Convert a checkpoint between Google (TensorFlow) and Hugging Face (safetensors) format.

Config and vocabulary beside the source are converted too. What is left out is listed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bert4keras.checkpoints import CheckpointError, convert


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return the exit status."""
    parser = argparse.ArgumentParser(prog="convert_checkpoint", description=__doc__)
    parser.add_argument(
        "source",
        help="directory, .safetensors, .index.json, prefix *.ckpt or hf://org/name[@revision]",
    )
    parser.add_argument("destination", help="directory, .safetensors or prefix *.ckpt")
    parser.add_argument("--format", required=True, choices=("google", "huggingface"))
    parser.add_argument("--force", action="store_true", help="replace an existing destination")
    parser.add_argument("--max-shard-size", metavar="SIZE", help="split files above, e.g. 2GB")
    options = parser.parse_args(arguments)
    try:
        done = convert(
            options.source,
            options.destination,
            options.format,
            overwrite=options.force,
            max_shard_size=options.max_shard_size,
        )
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(done)
    return 0


if __name__ == "__main__":
    sys.exit(main())
