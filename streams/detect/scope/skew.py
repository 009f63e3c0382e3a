"""One release that is not one: prompt, model, tools or settings differ under the same name."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct, field

from ...records import Fact, Finding, Severity
from .bucketed import Bucket, Bucketed, Words

HASHES_MAX = 8
CHARS_MAX = 32


class Thresholds(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    parts: list[str] = field(default_factory=lambda: ["prompt", "tools", "config", "model"])  # that must not differ


class Seen(Struct, frozen=True, array_like=True, gc=False):
    hashes: dict[str, tuple[str, ...]] = {}  # part -> what it was, in order of first sight


class ConfigSkew(Bucketed[Thresholds, Seen]):
    """Two hashes of one part under one release. Subject: the agent and the part. An agent without releases is not judged."""

    name, version, state = "config.skew", 1, Seen
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
        watched, hashes, said = self.limits_for(agent).parts, dict(state.hashes), []
        for mark in sorted(bucket.marks):
            part, _, what = mark.partition(":")
            if part in watched and what not in hashes.get(part, ()):
                hashes[part] = (*hashes.get(part, ()), what)[-HASHES_MAX:]
        for part, found in sorted(hashes.items()):
            if len(found) > 1 and any(f"{part}:{what}" in bucket.marks for what in found):
                said.append(self._finding((agent, part, release), found, bucket, words))
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
