"""What an agent installs is small: nothing of the pipeline's libraries is imported, and nothing of its rooms."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import importlib.abc, sys
ALLOWED = {*sys.stdlib_module_names, "msgspec", "streams"}
class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] not in ALLOWED:
            raise ImportError(f"{name} is not there")
sys.meta_path.insert(0, Blocked())
sys.path.insert(0, sys.argv[1])
import streams.sdk
from streams.sdk import Approvals, Breaker, Emitter, FileSink, HttpSink, OutputSink
emitter = Emitter("bot", "1", FileSink(sys.argv[2]))
with emitter.session() as work, work.tool("refund", {"a": 1}):
    pass
assert emitter.close()
rooms = {name.split(".")[1] for name in sys.modules if name.startswith("streams.")}
assert rooms == {"sdk", "records"}, rooms
try:
    streams.sdk.KafkaSink("127.0.0.1:9")
except ImportError:
    print("alone")
"""


def test_the_sdk_works_where_nothing_but_msgspec_is_installed(tmp_path):
    told = [sys.executable, "-c", PROGRAM, str(ROOT), str(tmp_path / "told.ndjson")]
    ran = subprocess.run(told, capture_output=True, text=True, check=False, timeout=60)
    assert (ran.returncode, ran.stdout) == (0, "alone\n"), ran.stderr
    assert (tmp_path / "told.ndjson").read_text().count("\n") == 3
