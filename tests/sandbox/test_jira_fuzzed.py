"""What nobody would send, made up from Jira's own specification: no call breaks the sandbox, no answer leaves the shape."""

from __future__ import annotations

import asyncio
import copy
import json
import re
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import specification

from streams.sandbox.jira import SandboxJira

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not specification.there(), reason=specification.SKIPPED),
    pytest.mark.skipif(
        find_spec("schemathesis") is None, reason="schemathesis is not installed: it is in the extra `test`"
    ),
]
EXAMPLES, SEED = 25, 20_261
NOT_SERVED = {  # operations that the sandbox does not have
    ("post", "/rest/api/3/field"),
    ("put", "/rest/api/3/issue/{issueIdOrKey}/comment/{id}"),
    ("delete", "/rest/api/3/issue/{issueIdOrKey}/comment/{id}"),
    *((method, "/rest/api/3/project/{projectIdOrKey}") for method in ("put", "delete")),
    *((method, "/rest/api/3/project/{projectIdOrKey}/properties/{propertyKey}") for method in ("get", "put", "delete")),
}
TICKETS = 40
THERE: dict[str, list[str]] = {  # names that lead somewhere, so that more than 404 is tried
    "issueIdOrKey": [f"OPS-{number}" for number in range(1, TICKETS + 5)],
    "projectIdOrKey": ["OPS", "NONE"],
    "propertyKey": ["k", "tocsin.incident", "none"],
    "issueTypeId": ["10001", "1"],
}
CHECKS = "not_a_server_error,status_code_conformance,content_type_conformance,response_schema_conformance"


def aimed() -> dict[str, Any]:
    """The specification with names of what is there, without what the sandbox does not serve."""
    found = copy.deepcopy(specification.document())
    for path, operations in found["paths"].items():
        for method, operation in list(operations.items()):
            if (method, path) in NOT_SERVED:
                del operations[method]
            elif isinstance(operation, dict):
                operation["responses"].setdefault("404", {"description": "no such project"})
                for parameter in operation.get("parameters", ()):
                    if parameter["in"] == "path" and parameter["name"] in THERE:
                        parameter["schema"] = {"type": "string", "enum": THERE[parameter["name"]]}
    # Declared as one; it is a list.
    del found["paths"]["/rest/api/3/issue/{issueIdOrKey}/remotelink"]["get"]["responses"]["200"]["content"]
    return found


async def test_no_call_that_the_specification_allows_or_nearly_allows_breaks_it(tmp_path: Path) -> None:
    server = SandboxJira()
    url = await server.start()
    for number in range(TICKETS):
        server.book.create("OPS", "ada", {"kind": "10001", "summary": f"{number}", "properties": {"k": number}})
    file = tmp_path / "jira.json"
    file.write_text(json.dumps(aimed()), encoding="utf-8")
    command = [sys.executable, "-m", "schemathesis.cli", "run", str(file), "--url", url, "--max-examples", str(EXAMPLES),
               "--seed", str(SEED), "--phases", "fuzzing", "--checks", CHECKS, "--no-color", "--generation-database", "none"]  # fmt: skip
    running = await asyncio.create_subprocess_exec(
        *command, cwd=tmp_path, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    said = (await running.communicate())[0].decode()
    await server.stop()
    generated = re.search(r"(\d+) generated", said)
    assert running.returncode == 0, said
    assert generated is not None and int(generated[1]) > 300
    assert not [call for call in server.serving.calls if call.status == 500]
