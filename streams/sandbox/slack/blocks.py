"""Block Kit's rules: which blocks there are, what they hold, and how much of it."""

from collections.abc import Callable, Iterator
from typing import Any

TOTAL = 13_200  # undocumented, but it bites
KEYS = {
    "section": {"text", "fields", "accessory", "expand"},
    "header": {"text", "level"},
    "context": {"elements"},
    "actions": {"elements"},
    "divider": set[str](),
    "image": {"image_url", "alt_text", "title", "slack_file"},
    "markdown": {"text"},
    "rich_text": {"elements"},
}
ELEMENTS = {  # of an actions block, or an accessory
    "button", "checkboxes", "datepicker", "datetimepicker", "timepicker", "overflow", "radio_buttons", "static_select",
    "multi_static_select", "users_select", "multi_users_select", "channels_select", "conversations_select",
    "external_select", "workflow_button", "image",
}  # fmt: skip


def wrong(blocks: Any) -> list[str]:
    """All complaints, as Slack words them; none: fine."""
    if not isinstance(blocks, list):
        return ["must be an array [json-pointer:/blocks]"]
    if len(blocks) > 50:
        return ["no more than 50 items allowed [json-pointer:/blocks]"]
    found = [(text, place, path) for place, block in enumerate(blocks) for text, path in _block(block)]
    complaints = [f"{text} [json-pointer:/blocks/{place}{path}]" for text, place, path in found]
    names = [
        block["block_id"] for block in blocks if isinstance(block, dict) and isinstance(block.get("block_id"), str)
    ]
    if len(names) > len(set(names)):
        complaints.append("`block_id` already exists [json-pointer:/blocks]")
    return complaints


def total(node: Any) -> int:
    """How many characters all texts have together."""
    if isinstance(node, list):
        return sum(map(total, node))
    if not isinstance(node, dict):
        return 0
    own = len(node["text"]) if isinstance(node.get("text"), str) else 0
    return own + sum(total(value) for value in node.values() if isinstance(value, dict | list))


Complaints = Iterator[tuple[str, str]]


def _block(block: Any) -> Complaints:
    if not isinstance(block, dict):
        yield "must be an object", ""
        return
    kind = block.get("type")
    if kind not in tuple(KEYS):  # it may not be hashable
        yield f"unsupported type: {kind}", "/type"
        return
    for key in block.keys() - KEYS[kind] - {"type", "block_id"}:
        yield f"additional property {key} is not allowed", ""
    yield from _string(block, "block_id", 255)
    if kind in RULES:
        yield from RULES[kind](block)


def _section(block: dict[str, Any]) -> Complaints:
    if "text" not in block and "fields" not in block:
        yield "missing required field: text", ""
    if "text" in block:
        yield from _text(block["text"], "/text", 3000)
    if "fields" in block:
        yield from _each(block["fields"], "/fields", 10, lambda field, path: _text(field, path, 2000))
    if "accessory" in block:
        yield from _element(block["accessory"], "/accessory")


def _header(block: dict[str, Any]) -> Complaints:
    yield from _text(block.get("text"), "/text", 150, plain=True)


def _context(block: dict[str, Any]) -> Complaints:
    def one(element: Any, path: str) -> Complaints:
        if isinstance(element, dict) and element.get("type") == "image":
            yield from _image(element, path)
        else:
            yield from _text(element, path, 3000)

    yield from _each(block.get("elements"), "/elements", 10, one)


def _actions(block: dict[str, Any]) -> Complaints:
    yield from _each(block.get("elements"), "/elements", 25, _element)


def _image(block: dict[str, Any], path: str = "") -> Complaints:
    if "slack_file" not in block:
        yield from _string(block, "image_url", 3000, path, needed=True)
    yield from _string(block, "alt_text", 2000, path, needed=True)


def _markdown(block: dict[str, Any]) -> Complaints:
    yield from _string(block, "text", 12_000, needed=True)


RULES: dict[str, Callable[[dict[str, Any]], Complaints]] = {
    "section": _section,
    "header": _header,
    "context": _context,
    "actions": _actions,
    "image": _image,
    "markdown": _markdown,
}


def _element(element: Any, path: str) -> Complaints:
    if not isinstance(element, dict) or element.get("type") not in tuple(ELEMENTS):
        yield "unsupported element", f"{path}/type"
        return
    yield from _string(element, "action_id", 255, path)
    if "confirm" in element:
        yield from _confirm(element["confirm"], f"{path}/confirm")
    if element["type"] == "image":
        yield from _image(element, path)
    if element["type"] != "button":
        return
    yield from _text(element.get("text"), f"{path}/text", 75, plain=True)
    yield from _string(element, "value", 2000, path)
    yield from _string(element, "url", 3000, path)
    if element.get("style", "primary") not in ("primary", "danger"):
        yield "failed to match the pattern: primary or danger", f"{path}/style"


def _confirm(node: Any, path: str) -> Complaints:
    """What is asked before it counts."""
    if not isinstance(node, dict):
        yield "must be an object", path
        return
    for name, most, plain in (("title", 100, True), ("text", 300, False), ("confirm", 30, True), ("deny", 30, True)):
        yield from _text(node.get(name), f"{path}/{name}", most, plain=plain)


def _each(items: Any, path: str, most: int, check: Callable[[Any, str], Complaints]) -> Complaints:
    if not isinstance(items, list) or not items:
        yield "must have at least 1 item", path
        return
    if len(items) > most:
        yield f"no more than {most} items allowed", path
    for place, item in enumerate(items):
        yield from check(item, f"{path}/{place}")


def _text(node: Any, path: str, most: int, *, plain: bool = False) -> Complaints:
    """A text object; its own keys depend on its type."""
    kind = node.get("type") if isinstance(node, dict) else None
    if kind not in (("plain_text",) if plain else ("plain_text", "mrkdwn")):
        yield f"must be a text object of type {'plain_text' if plain else 'plain_text or mrkdwn'}", path
        return
    for key in node.keys() - {"type", "text", "emoji" if kind == "plain_text" else "verbatim"}:
        yield f"additional property {key} is not allowed", path
    yield from _string(node, "text", most, path, needed=True)


def _string(node: dict[str, Any], key: str, most: int, path: str = "", *, needed: bool = False) -> Complaints:
    if key not in node:
        if needed:
            yield f"missing required field: {key}", path
        return
    value = node[key]
    if not isinstance(value, str):
        yield "must be a string", f"{path}/{key}"
    elif not value:
        yield "must be more than 0 characters", f"{path}/{key}"
    elif len(value) > most:
        yield f"must be less than {most + 1} characters", f"{path}/{key}"
