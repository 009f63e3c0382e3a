"""flagd, as far as our file uses it: the shape that its schema asks for, and what its targeting rules answer."""

import hashlib

RULE = {"anyOf": [{"type": ["null", "boolean", "string", "number"]}, {"$ref": "#/$defs/operation"}]}
OPERATION = {
    "type": "object",
    "minProperties": 1,
    "maxProperties": 1,
    "additionalProperties": False,
    "properties": {
        "if": {"type": "array", "minItems": 3, "maxItems": 3, "items": {"$ref": "#/$defs/rule"}},
        "and": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/rule"}},
        "==": {"type": "array", "minItems": 2, "maxItems": 2, "items": {"$ref": "#/$defs/rule"}},
        "var": {"type": "string", "pattern": r"^(?!\$flagd\.).+"},
        "in": {
            "type": "array",
            "prefixItems": [{"$ref": "#/$defs/rule"}, {"type": "array", "items": {"type": "string"}}],
            "minItems": 2,
            "maxItems": 2,
        },
        "fractional": {
            "type": "array",
            "minItems": 3,
            "prefixItems": [{"$ref": "#/$defs/operation"}],
            "items": {
                "type": "array",
                "prefixItems": [{"type": "string"}, {"type": "integer", "minimum": 1, "maximum": 100}],
                "minItems": 2,
                "maxItems": 2,
            },
        },
    },
}
TYPED = [
    {"properties": {"variants": {"type": "object", "minProperties": 1, "additionalProperties": {"type": kind}}}}
    for kind in ("boolean", "string", "number", "object")
]
SHAPE = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "type": "object",
    "required": ["flags"],
    "properties": {
        "flags": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "required": ["state", "variants", "defaultVariant"],
                "properties": {
                    "state": {"enum": ["ENABLED", "DISABLED"]},
                    "defaultVariant": {"type": "string"},
                    "targeting": {"$ref": "#/$defs/operation"},
                },
                "anyOf": TYPED,
            },
        },
        "metadata": {"type": "object", "additionalProperties": {"type": ["string", "number", "boolean"]}},
    },
    "$defs": {"rule": RULE, "operation": OPERATION},
}


def resolve(flag, context):
    """The value that flagd answers."""
    found = answer(flag["targeting"], context) if "targeting" in flag else None
    return flag["variants"][flag["defaultVariant"] if found is None else found]


def answer(rule, context):
    if not isinstance(rule, dict):
        return rule
    ((name, given),) = rule.items()
    match name:
        case "if":
            condition, then, otherwise = given
            return answer(then if answer(condition, context) else otherwise, context)
        case "and":
            return all(answer(one, context) for one in given)
        case "==":
            return answer(given[0], context) == answer(given[1], context)
        case "in":
            return answer(given[0], context) in given[1]
        case "var":
            return context.get(given)
        case "fractional":
            by, *shares = given
            bucket = int.from_bytes(hashlib.sha256(str(answer(by, context)).encode()).digest()[:8]) % 100
            for variant, weight in shares:
                if bucket < weight:
                    return variant
                bucket -= weight
    raise AssertionError(name)
