"""What a person does on the sandbox Jira's pages is what the API then says."""

from html.parser import HTMLParser
from typing import Any

import aiohttp
import pytest
from jira import JIRA
from sandbox.clients import JiraRunning, created, in_thread, paragraph

HOSTILE = "<script>alert(1)</script> <!channel> {noformat} [~admin] <img src=x onerror=alert(1)>"


class Page(HTMLParser):
    """Tags with their attributes, and all text."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


async def page(http: aiohttp.ClientSession, url: str, status: int = 200) -> Page:
    async with http.get(url) as answer:
        assert answer.status == status
        return Page(await answer.text())


async def send(http: aiohttp.ClientSession, url: str, path: str, **form: str) -> int:
    async with http.post(f"{url}{path}", data=form, headers={"Origin": url}, allow_redirects=False) as answer:
        return answer.status


async def test_a_ticket_is_resolved_by_the_form(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    url = jira[1]
    key = await in_thread(url, created)
    shown = await page(http, f"{url}/browse/{key}")
    assert [form["action"] for form in shown.all("form")] == [
        f"/browse/{key}/comment",
        f"/browse/{key}/start",
        f"/browse/{key}/resolve",
    ]
    assert await send(http, url, f"/browse/{key}/start") == 303
    assert await send(http, url, f"/browse/{key}/comment", text="I am on it") == 303
    form = {"outcome": "fixed", "resolution": "10004", "version": "agent-1.4.2"}
    assert await send(http, url, f"/browse/{key}/resolve", **form) == 303

    ticket = (await in_thread(url, lambda client: client.issue(key))).raw["fields"]
    assert (ticket["status"]["name"], ticket["resolution"]["name"]) == ("Done", "Fixed")
    assert ticket["customfield_10100"]["value"] == "fixed"
    assert [version["name"] for version in ticket["fixVersions"]] == ["agent-1.4.2"]
    assert ticket["comment"]["comments"][0]["body"] == paragraph("I am on it")
    after = await page(http, f"{url}/browse/{key}")
    assert [form["action"] for form in after.all("form")] == [f"/browse/{key}/comment", f"/browse/{key}/reopen"]
    assert "In Progress → Done" in after.text

    assert await send(http, url, f"/browse/{key}/reopen") == 303
    assert (await in_thread(url, lambda client: client.issue(key))).raw["fields"]["resolution"] is None


async def test_the_list_shows_open_and_done_tickets_apart(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    url = jira[1]

    def work(client: JIRA) -> None:
        for number in range(3):
            created(client, summary=f"Ticket {number}", labels=["tocsin-x"], priority={"name": "High"})
        client.transition_issue("OPS-2", "Done")

    await in_thread(url, work)
    found = await page(http, url)
    assert [a["href"] for a in found.all("a") if (a["href"] or "").startswith("/browse/")] == [
        "/browse/OPS-3",
        "/browse/OPS-1",
    ]
    assert all(word in found.text for word in ("Ticket 0", "tocsin-x", "High", "To Do"))
    assert "Ticket 1" in (await page(http, f"{url}/?show=done")).text
    assert "OPS-2" in (await page(http, f"{url}/?show=all")).text


@pytest.mark.parametrize("version", ["2", "3"])
async def test_hostile_text_stays_text(jira: JiraRunning, http: aiohttp.ClientSession, version: str) -> None:
    url = jira[1]
    body = paragraph(HOSTILE) if version == "3" else HOSTILE

    def work(client: JIRA) -> str:
        key = created(client, summary=HOSTILE, description=body, labels=["<b>label</b>"])
        client.add_comment(key, body)
        return key

    key = await in_thread(url, work, version)
    for path in (f"/browse/{key}", "/"):
        shown = await page(http, url + path)
        assert HOSTILE in shown.text
        assert not {"script", "img", "b" if path == "/" else "script"} & {tag for tag, _ in shown.tags}
    assert shown.text.count("<b>label</b>") == 1


async def test_a_document_is_shown_with_its_structure_and_harmless_links(
    jira: JiraRunning, http: aiohttp.ClientSession
) -> None:
    def text(words: str, **mark: Any) -> dict[str, Any]:
        return {"type": "text", "text": words, **({"marks": [mark]} if mark else {})}

    def cell(words: str) -> dict[str, Any]:
        return {"type": "tableCell", "content": [{"type": "paragraph", "content": [text(words)]}]}

    blocks = [
        {"type": "heading", "attrs": {"level": 2}, "content": [text("What happened")]},
        {"type": "paragraph", "content": [text("bold", type="strong"), text(" plain")]},
        {"type": "paragraph", "content": [text("ok", type="link", attrs={"href": "https://example.com/?a=1&b=2"})]},
        {"type": "paragraph", "content": [text("bad", type="link", attrs={"href": "javascript:alert(1)"})]},
        {"type": "codeBlock", "content": [text("<script>")]},
        {"type": "table", "content": [{"type": "tableRow", "content": [cell("a"), cell("b")]}]},
    ]
    description = {"version": 1, "type": "doc", "content": blocks}
    key = await in_thread(jira[1], lambda client: created(client, description=description))
    shown = await page(http, f"{jira[1]}/browse/{key}")
    assert {"h4", "strong", "pre", "table", "td"} <= {tag for tag, _ in shown.tags}
    links = [a["href"] for a in shown.all("a")]
    assert "https://example.com/?a=1&b=2" in links
    assert not any((link or "").startswith("javascript:") for link in links)
    assert "bad" in shown.text


async def test_a_form_from_another_site_is_refused(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    url = jira[1]
    key = await in_thread(url, created)
    form = {"outcome": "fixed", "resolution": "10004"}
    for headers in ({}, {"Origin": "http://evil.example"}, {"Origin": "null"}, {"Referer": "http://evil.example/x"}):
        async with http.post(f"{url}/browse/{key}/resolve", data=form, headers=headers) as answer:
            assert answer.status == 403, headers
    async with http.post(f"{url}/_sandbox/faults", json={}, headers={"Origin": "http://evil.example"}) as answer:
        assert answer.status == 403
    assert jira[0].book.find(key).outcome is None
    referer = {"Referer": f"{url}/browse/{key}"}
    async with http.post(f"{url}/browse/{key}/resolve", data=form, headers=referer, allow_redirects=False) as answer:
        assert answer.status == 303


async def test_one_resolves_only_once_and_with_an_outcome(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    url = jira[1]
    key = await in_thread(url, created)
    assert await send(http, url, f"/browse/{key}/resolve", outcome="", resolution="10004") == 400
    assert await send(http, url, f"/browse/{key}/resolve", outcome="fixed", resolution="10004") == 303
    assert await send(http, url, f"/browse/{key}/resolve", outcome="duplicate", resolution="10002") == 409
    assert jira[0].book.find(key).outcome == "fixed"
    assert await send(http, url, "/browse/OPS-99/start") == 404
    await page(http, f"{url}/browse/OPS-99", status=404)


async def test_an_attachment_is_downloaded_and_never_shown(jira: JiraRunning, http: aiohttp.ClientSession) -> None:
    server, url = jira
    key = await in_thread(url, created)
    ticket = server.book.find(key)
    server.book.attach(ticket, ticket.author, 'a"<b>.html', "text/html", b"<script>alert(1)</script>")
    shown = await page(http, f"{url}/browse/{key}")
    (link,) = [a["href"] for a in shown.all("a") if "download" in a]
    async with http.get(url + str(link)) as answer:
        assert await answer.read() == b"<script>alert(1)</script>"
        assert answer.content_type == "application/octet-stream"
        assert answer.headers["Content-Disposition"].startswith("attachment;")
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


async def test_pages_load_nothing_from_elsewhere_and_run_no_script(
    jira: JiraRunning, http: aiohttp.ClientSession
) -> None:
    async with http.get(jira[1]) as answer:
        policy = answer.headers["Content-Security-Policy"]
        found = Page(await answer.text())
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert [link["href"] for link in found.all("link")] == ["/_sandbox/look.css"]
    async with http.get(f"{jira[1]}/_sandbox/look.css") as answer:
        css = await answer.text()
    assert "prefers-color-scheme: dark" in css
    assert "url(" not in css
