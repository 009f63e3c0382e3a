"""One release that is not one: prompt, model, tools or settings differ under the same name."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from ...records import Fact, Finding, Severity
from .bucketed import Bucket, Bucketed, Words

HASHES_MAX = 8
CHARS_MAX = 32
KEPT_S = 2 * 86_400  # an agent may run once a day; a variant not seen for longer is gone


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    parts: list[str] = field(default_factory=lambda: ["prompt", "tools", "config", "model"])  # that must not differ


class Seen(Struct, frozen=True, array_like=True, gc=False):
    hashes: dict[str, dict[str, int]] = {}  # part -> what it was, in order of first sight -> when last


class ConfigSkew(Bucketed[Thresholds, Seen]):
    """Two hashes of one part under one release, until one has not been seen for two days. Subject: the agent and the part.

    An agent without releases is not judged.
    """

    name, version, state = "config.skew", 2, Seen
    kinds = ("config",)
    severity: Severity = "medium"
    runbook = (
        "Find who changed the part below without a new release.\n"
        "What was learned about this release holds for neither: register a new one.\n"
        "If it differs on purpose (an experiment), name the variants as releases, or leave the part out of `parts`."
    )
    limits = Thresholds
    false_alarms = "rule: no statistics; a deployment in which both run for a moment is told as well"

    def words(self, fact: Fact) -> Words | None:
        agent, release, environment = fact.subject
        return ("release", agent, environment, release) if release else None

    def taken(self, fact: Fact) -> Mapping[str, int]:
        return {"starts": 1}

    def closed(self, state: Seen, bucket: Bucket, words: Words) -> tuple[Seen, tuple[Finding, ...]]:
        agent, release = words[1], words[3]
        watched, hashes, said = self.limits_for(agent).parts, _kept(state.hashes, bucket.at_s), []
        for mark in sorted(bucket.marks):
            part, _, what = mark.partition(":")
            if part in watched:
                found = {**hashes.get(part, {}), what: bucket.at_s}
                hashes[part] = dict(list(found.items())[-HASHES_MAX:])
        for part, found in sorted(hashes.items()):
            if len(found) > 1 and bucket.at_s in found.values():
                said.append(self._finding((agent, part, release), tuple(found), bucket, words))
        return (Seen(hashes) if hashes != state.hashes else state), tuple(said)

    def _finding(self, about: tuple[str, str, str], found: tuple[str, ...], bucket: Bucket, words: Words) -> Finding:
        agent, part, release = about
        return self.found(
            {"agent": agent, "part": part},
            f"{agent}: the {part} differs within release {release}",
            at=self.when(bucket, words),
            count=len(found),
            observed=f"{len(found)} versions: {', '.join(what[:CHARS_MAX] for what in found)}",
            expected="one",
            releases=(release,),
        )


def _kept(hashes: Mapping[str, dict[str, int]], at_s: int) -> dict[str, dict[str, int]]:
    kept = {
        part: {what: last_s for what, last_s in found.items() if at_s - last_s < KEPT_S}
        for part, found in hashes.items()
    }
    return {part: found for part, found in kept.items() if found}
