"""Windows that an app opens after a press: checked, shown to one person, and sent back with what they wrote."""

import secrets
import time
from typing import Any

import msgspec

from streams.sandbox.slack.call import Call, Refused

TRIGGER_S = 3.0
INPUTS = {"plain_text_input", "static_select", "datepicker", "users_select", "checkboxes", "radio_buttons"}


class View(msgspec.Struct):
    id: str
    user: str
    body: dict[str, Any]


class Windows:
    """`triggers`: what a press gives out, once and for three seconds."""

    def __init__(self) -> None:
        self.opened: list[View] = []
        self._triggers: dict[str, tuple[str, float]] = {}

    def trigger(self, user: str) -> str:
        name = f"{time.time_ns()}.{secrets.randbelow(10**12)}.{secrets.token_hex(16)}"
        self._triggers[name] = (user, time.monotonic() + TRIGGER_S)
        return name

    async def open(self, call: Call) -> dict[str, Any]:
        given = self._triggers.get(call.text("trigger_id"))
        if given is None:
            raise Refused("invalid_trigger_id")
        user, until = given
        if until == 0.0:
            raise Refused("exchanged_trigger_id")
        if time.monotonic() > until:
            raise Refused("expired_trigger_id")
        body = call.nested("view", "invalid_arguments")
        if complaints := wrong(body):
            raise Refused("invalid_arguments", response_metadata={"messages": complaints})
        self._triggers[call.text("trigger_id")] = (user, 0.0)
        shown = View(f"V{secrets.token_hex(5).upper()}", user, body)
        self.opened.append(shown)
        return {"view": {"id": shown.id, "hash": f"{time.time():.6f}", "state": {"values": {}}, **body}}


def wrong(view: Any) -> list[str]:
    """All complaints; none: fine."""
    if not isinstance(view, dict) or view.get("type") != "modal":
        return ["[ERROR] must be a modal [json-pointer:/view/type]"]
    found = []
    title, blocks = view.get("title"), view.get("blocks")
    if not _plain(title, 24):
        found.append("[ERROR] a plain text of at most 24 characters [json-pointer:/view/title]")
    if len(str(view.get("private_metadata", ""))) > 3000:
        found.append("[ERROR] must be less than 3001 characters [json-pointer:/view/private_metadata]")
    if not isinstance(blocks, list) or len(blocks) > 100:
        return [*found, "[ERROR] at most 100 blocks [json-pointer:/view/blocks]"]
    inputs = [block for block in blocks if isinstance(block, dict) and block.get("type") == "input"]
    if inputs and not _plain(view.get("submit"), 24):
        found.append("[ERROR] required with input blocks [json-pointer:/view/submit]")
    for place, block in enumerate(inputs):
        element = block.get("element")
        kind = element.get("type") if isinstance(element, dict) else None
        if kind not in INPUTS or not _plain(block.get("label"), 2000):
            found.append(f"[ERROR] no label, or not an input: {kind} [json-pointer:/view/blocks/{place}]")
        if "hint" in block and not _plain(block["hint"], 2000):
            found.append(f"[ERROR] must be a plain text [json-pointer:/view/blocks/{place}/hint]")
    return found


def filled(view: View, given: dict[str, str]) -> dict[str, Any]:
    """`state.values` as Slack sends it: everything that was asked, what stayed empty as null."""
    values: dict[str, Any] = {}
    for block in view.body["blocks"]:
        element = block.get("element")
        if not element:
            continue
        text, kind, name = given.get(block["block_id"]), element["type"], element["action_id"]
        state: dict[str, Any] = {"type": kind}
        if kind == "static_select":
            chosen = next((one for one in element["options"] if one["value"] == text), None)
            state["selected_option"] = chosen
        else:
            state["selected_date" if kind == "datepicker" else "value"] = text
        values[block["block_id"]] = {name: state}
    return values


def _plain(text: Any, most: int) -> bool:
    return isinstance(text, dict) and text.get("type") == "plain_text" and 0 < len(str(text.get("text", ""))) <= most
