"""Shows a recorded run as a person would see it: `python -m tests.reporters.replay good|failing|fifty [speed]`."""

from __future__ import annotations

import sys
import time

from dojo_deploy.reporters import choose

from .recordings import STORIES


def main() -> None:
    story = STORIES[sys.argv[1]]()
    speed = float(sys.argv[2]) if len(sys.argv) > 2 else 1.0
    reporter = choose(sys.stdout, verbose="-v" in sys.argv)
    last = 0.0
    try:
        for second, event in story:
            time.sleep((second - last) / speed)
            last = second
            reporter(event)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
    finally:
        reporter.close()


if __name__ == "__main__":
    main()
