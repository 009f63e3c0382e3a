"""What is written for Jira Cloud is valid by the official schema of Atlassian's document format, from npm."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from respond import places
from respond.nasty import NASTY

from streams.respond.receivers import jira_text

PACKAGE = "@atlaskit/adf-schema@57.7.22"
INSIDE = "package/dist/json-schema/v1/full.json"


@pytest.fixture(scope="session")
def schema(tmp_path_factory: pytest.TempPathFactory) -> Any:
    """The one test data that is fetched: the package is not ours to hand on."""
    npm, folder = shutil.which("npm"), tmp_path_factory.mktemp("adf")
    if npm is None:
        pytest.skip("there is no npm to fetch the official schema with")
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(folder)]
    try:
        subprocess.run(command, check=True, capture_output=True, timeout=60, cwd=folder)
    except (subprocess.SubprocessError, OSError) as error:
        pytest.skip(f"npm cannot fetch {PACKAGE}: {type(error).__name__}")
    (packed,) = Path(folder).glob("*.tgz")
    with tarfile.open(fileobj=io.BytesIO(packed.read_bytes())) as package:
        found = package.extractfile(INSIDE)
        assert found is not None
        checker = jsonschema.validators.validator_for(document := json.load(found))
    return checker(document)


def test_a_ticket_is_valid(schema: Any) -> None:
    """One text: what holds of one text node holds of all, and the schema's many alternatives take their time."""
    document = jira_text.document(places.ticket(places.incident(NASTY["adf"])))
    assert [error.message[:300] for error in schema.iter_errors(document)] == []


@pytest.mark.parametrize(
    "lines", [(), ("",), ("one", "", "two"), ("x" * 50_000,)], ids=["none", "empty", "three", "long"]
)
def test_a_comment_is_valid(schema: Any, lines: tuple[str, ...]) -> None:
    assert [error.message[:300] for error in schema.iter_errors(jira_text.comment(lines))] == []


def test_the_schema_finds_what_is_wrong(schema: Any) -> None:
    empty = {"type": "doc", "version": 1, "content": [{"type": "paragraph", "content": [{"type": "text", "text": ""}]}]}
    assert list(schema.iter_errors(empty))
