"""What deciders cost, without a broker: CPU per event and per fact, the shelf beside them, its size.

    python -m benchmarks.deciders [--json FILE] [--each] [--only sessions,scopes]

Garbage is collected as the role does it.
"""

from __future__ import annotations

import argparse
import gc
import json
from pathlib import Path
from typing import Any

from streams.detect.engine.limits import COLLECT

from .deciding import scopes, sessions


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path)
    parser.add_argument("--each", action="store_true", help="also every session decider alone")
    parser.add_argument("--only", default="sessions,scopes")
    given = parser.parse_args()
    gc.set_threshold(*COLLECT)
    gc.freeze()
    found: dict[str, Any] = {}
    if "sessions" in given.only:
        found["session deciders"] = {"count": len(sessions.deciders()), **sessions.measured(print)}
        found["shelf of a session"] = sessions.weighed()
        if given.each:
            found["each"] = sessions.each()
    if "scopes" in given.only:
        found["scope deciders"] = scopes.measured(print)
    print(json.dumps(found, indent=2, ensure_ascii=False))
    if given.json:
        given.json.write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
