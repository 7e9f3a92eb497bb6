"""Run scripts one after the other in this process, each as `python SCRIPT OPTIONS` does."""

from __future__ import annotations

import json
import runpy
import sys

ENDED = "ended with "


def main(scripts: list[list[str]]) -> None:
    """Run each, by its path and options, and print how it ended."""
    for command in scripts:
        sys.argv = command
        code: object = 0
        try:
            runpy.run_path(command[0], run_name="__main__")
        except SystemExit as ended:
            code = ended.code or 0
        print(f"{ENDED}{code}", flush=True)


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
