"""Time of each step, from the logs of an output folder.

Usage: python benchmarks/steps.py OUTPUT_DIR
"""

import json
import sys
from pathlib import Path

import numpy as np


def main() -> None:
    """Print the median over sessions per step, and the total."""
    seconds: dict[str, list[float]] = {}
    for path in sorted((Path(sys.argv[1]) / "logs" / "seconds").glob("*.json")):
        for steps in json.loads(path.read_text()).values():
            for step, value in steps.items():
                seconds.setdefault(step, []).append(value)
    for step, values in seconds.items():
        print(f"{step:32s} {np.median(values):7.1f} s  (n={len(values)})")
    print(f"{'all':32s} {sum(np.median(v) for v in seconds.values()):7.1f} s")


if __name__ == "__main__":
    main()
