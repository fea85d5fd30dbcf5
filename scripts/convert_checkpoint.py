"""Convert a checkpoint between Google (TensorFlow) and Hugging Face (safetensors) format.

Config and vocabulary beside the source come along. What is left out is listed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from bert4keras.checkpoints import CheckpointError, convert


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="convert_checkpoint", description=__doc__)
    parser.add_argument("source", help="directory, .safetensors, .index.json or prefix *.ckpt")
    parser.add_argument("destination", help="directory, .safetensors or prefix *.ckpt")
    parser.add_argument("--format", required=True, choices=("google", "huggingface"))
    parser.add_argument("--force", action="store_true", help="replace an existing destination")
    options = parser.parse_args(arguments)
    try:
        done = convert(options.source, options.destination, options.format, overwrite=options.force)
    except CheckpointError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in done.files:
        print(f"wrote {path}")
    print(f"{len(done.tensors)} tensors converted")
    for name, reason in done.ignored.items():
        print(f"left out: {name} ({reason})")
    for name in done.unexpected:
        print(f"left out: {name} (NOT KNOWN to any table)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
