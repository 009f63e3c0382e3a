"""An incident's page: what strangers wrote is text in it, and a secret that a finding brought along is not there."""

from html.parser import HTMLParser
from urllib.parse import quote

import builders as b
from intake.test_redacting import SECRETS
from respond import places
from respond.nasty import NASTY
from respond.test_harmless import core
from stories.world import World

STORED = [text for text in NASTY.values() if not set("\0\ud800") & set(text)]  # those no database keeps


class Elements(HTMLParser):
    """Its elements with their attributes, without the values that name the incident or hold a text."""

    def __init__(self, page):
        super().__init__(convert_charrefs=True)
        self.found = []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, tuple(sorted(name for name, _ in attrs))))
        for name, value in attrs:
            assert not name.startswith("on")
            if name in ("href", "src", "action"):
                assert (value or "").startswith(("/", "#", "https://jira.example/"))


async def shown(site, incident):
    await site.book(**{name: getattr(incident, name) for name in incident.__struct_fields__})
    answer = await site.client.get(f"/incidents/{quote(incident.id, safe='')}")
    assert answer.status_code == 200
    return answer.text


async def test_whatever_strangers_write_stays_text(site):
    usual = Elements(await shown(site, places.incident("usual", id="v1:a:b#1", fingerprint="v1:a:b"))).found
    for number, text in enumerate(STORED):
        name = f"v1:a:{number}"
        page = await shown(site, places.incident((text or "-")[:1000], id=f"{name}#1", fingerprint=name))
        assert {tag for tag, _ in Elements(page).found} <= {tag for tag, _ in usual}
        assert len(Elements(page).found) <= len(usual)


async def test_a_secret_of_a_finding_is_not_in_its_page(site):
    for kind, all_of in SECRETS.items():
        text = f"it says {all_of[0]} there"
        given = {"title": text, "observed": text, "expected": text, "hint": text, "release": text, "dependency": text}
        world = World().finds(kind, **given, evidence=(b.excerpt(0, text=text, tool=text),))
        page = await shown(site, world.incident(kind))
        assert core(kind, all_of[0]) not in page
        assert "&lt;secret:" in page
