"""JSON schemas of Slack's answers and blocks, from the types of its own published client; a script, run by hand.

    python tests/sandbox/slack_types.py [--facts]

Needs Node and npm, once; what it makes lies beside the other downloads, outside the repository. `--facts` writes down
what the plain test holds on to.
"""

import argparse
import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import Any

from streams.sandbox import jars

PACKAGES = {"@slack/web-api": "8.2.0", "@slack/types": "3.2.0", "ts-json-schema-generator": "2.4.0"}
FACTS = Path(__file__).with_name("slack_facts.json")
RESPONSES = {
    "apps.connections.open": "AppsConnectionsOpenResponse",
    "auth.test": "AuthTestResponse",
    "chat.postEphemeral": "ChatPostEphemeralResponse",
    "chat.postMessage": "ChatPostMessageResponse",
    "chat.update": "ChatUpdateResponse",
    "conversations.history": "ConversationsHistoryResponse",
    "conversations.info": "ConversationsInfoResponse",
    "conversations.list": "ConversationsListResponse",
    "conversations.replies": "ConversationsRepliesResponse",
    "usergroups.list": "UsergroupsListResponse",
    "users.list": "UsersListResponse",
    "users.lookupByEmail": "UsersLookupByEmailResponse",
}
BLOCKS = {
    "section": "SectionBlock", "header": "HeaderBlock", "context": "ContextBlock", "actions": "ActionsBlock",
    "button": "Button", "static_select": "StaticSelect", "users_select": "UsersSelect", "overflow": "Overflow",
    "plain_text": "PlainTextElement", "mrkdwn": "MrkdwnElement",
}  # fmt: skip
GENERATE = """
const { createGenerator } = require("ts-json-schema-generator");
const [out, ...types] = process.argv.slice(2);
const found = {};
for (const type of types)
  found[type] = createGenerator({
    path: type === "KnownBlock" ? "node_modules/@slack/types/dist/block-kit/blocks.d.ts"
      : `node_modules/@slack/web-api/dist/types/response/${type}.d.ts`,
    type, skipTypeCheck: true }).createSchema(type);
require("fs").writeFileSync(out, JSON.stringify(found));
"""


def where() -> Path:
    versions = "-".join(PACKAGES.values())
    return jars.default_cache() / f"slack-types-{versions}.json"


def cached() -> dict[str, Any] | None:
    path = where()
    return json.loads(path.read_text(encoding="utf-8")) if path.exists() else None


def make() -> dict[str, Any]:
    """Fetches, generates and keeps the schemas."""
    npm, node = shutil.which("npm"), shutil.which("node")
    if npm is None or node is None:
        raise SystemExit("Node and npm are needed")
    with tempfile.TemporaryDirectory() as folder:
        packages = [f"{name}@{version}" for name, version in PACKAGES.items()]
        options = ["--no-audit", "--no-fund", "--ignore-scripts", "--no-save"]
        subprocess.run([npm, "install", *options, *packages], cwd=folder, check=True, env=os.environ)
        script, out = Path(folder, "generate.cjs"), Path(folder, "out.json")
        script.write_text(GENERATE, encoding="utf-8")
        subprocess.run([node, script, out, *RESPONSES.values(), "KnownBlock"], cwd=folder, check=True)
        where().parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(out, where())
    found = cached()
    assert found is not None
    return found


def facts(schemas: dict[str, Any]) -> dict[str, Any]:
    """Names of properties, and which of them must be there."""
    answers = {method: _shape(schemas[name]["definitions"][name]) for method, name in RESPONSES.items()}
    message = _shape(schemas["ConversationsHistoryResponse"]["definitions"]["MessageElement"])
    known = schemas["KnownBlock"]["definitions"]
    return {
        "answers": answers,
        "message": message,
        "blocks": {kind: _shape(known[name]) for kind, name in BLOCKS.items()},
    }


def _shape(definition: dict[str, Any]) -> dict[str, list[str]]:
    return {"required": sorted(definition.get("required", ())), "properties": sorted(definition.get("properties", {}))}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--facts", action="store_true", help=f"also write {FACTS.name}")
    given = parser.parse_args()
    schemas = cached() or make()
    if given.facts:
        FACTS.write_text(json.dumps(facts(schemas), indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
