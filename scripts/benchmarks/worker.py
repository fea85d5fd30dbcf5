"""One side in its own process: reads a command per line, answers one JSON line per command."""

from __future__ import annotations

import importlib
import json
import os
import sys
import time
import traceback
from pathlib import Path

sys.path[0] = str(Path(__file__).resolve().parents[1])

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def serve(side: str, channel) -> None:
    """Answer ``prepare`` and ``run`` until the input ends."""
    run = units = None
    for line in sys.stdin:
        command = json.loads(line)
        clock = CLOCKS[command.get("clock", "wall")]
        try:
            started = clock()
            if command["do"] == "prepare":
                os.environ.update(command["options"].get("environment", {}))
                module = importlib.import_module(f"benchmarks.sides.{side}")
                run, units = module.CASES[command["case"]](command["options"])
                prepared = clock()
                run()
                answer = {"first": clock() - prepared, "versions": module.versions()}
            else:
                check = run()
                seconds = clock() - started
                answer = {"seconds": seconds / units}
                if check is not None:
                    answer["check"] = float(check)
        except Exception as error:
            traceback.print_exc()
            answer = {"error": f"{type(error).__name__}: {error}"[:500]}
        channel.write(json.dumps(answer) + "\n")
        channel.flush()


if __name__ == "__main__":
    # Libraries print to standard output: keep the real one for the answers.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    serve(sys.argv[1], answers)
