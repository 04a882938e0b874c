"""The page in a real browser (headless Chromium), over a small corpus in five scripts.

1. A query in Arabic, Hindi, Thai, Chinese or German finds its passage, which is shown in its direction and language.
2. Nothing of the corpus becomes markup, and the page asks no other host for anything.
3. Chips filter, modes switch, "why" shows the ranks; all of it by keyboard too.
4. axe finds no violation, wide in light and at 360 px in dark; at 360 px nothing is wider than the screen.
5. With keys, the page asks for one and then works.

Screenshots stay in the folder of the run, for a person to look at.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isogloss.service.keys import ApiKeys
from tests.service.conftest import INJECTION, KEY, listening

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")

QUERIES = {
    "ar": "حارس المنارة يعد السفن",
    "hi": "जहाज़ कौन गिनता है",
    "th": "ผู้ดูแลประภาคารนับเรือ",
    "zh": "谁在夜里数船？",
    "de": "Wer zählt die Schiffe?",
}
VIEWS = [(1200, "light"), (1200, "dark"), (360, "light"), (360, "dark")]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("report")
    cells = [
        {
            "pair": {"query_language": query, "passage_language": passage},
            "queries": 20,
            "passages": 40,
            "scores": {"nDCG@10": {"value": value, "low": value - 0.1, "high": value + 0.1}} if value else {},
            "blank": None if value else "no <b>passages</b>",
        }
        for query, passage, value in (("de", "de", 0.8), ("de", "en", 0.4), ("en", "de", None), ("en", "en", 0.6))
    ]
    scores = {"system": "x", "data": "<i>set</i>", "measures": ["nDCG@10"], "cells": cells, "notes": ["a note"]}
    (folder / "scores.json").write_text(json.dumps({**scores, "baseline": None}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def address(make_app, report: Path) -> Iterator[str]:
    with listening(make_app(report=report)) as port:
        yield f"http://127.0.0.1:{port}/"


@pytest.fixture
def open_page(browser: Any, address: str):
    """Opens the page in a view of its own; at the end nothing may have failed or gone elsewhere."""
    contexts, problems = [], []

    def opened(path: str = "", *, width: int = 1200, scheme: str = "light", at: str = address) -> Any:
        context = browser.new_context(viewport={"width": width, "height": 800}, color_scheme=scheme)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda request: request.url.startswith(at) or problems.append(f"asked {request.url}"))
        page.on("console", lambda line: problems.append(line.text) if "Content Security" in line.text else None)
        page.goto(at + path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert problems == []


def ready(page: Any) -> Any:
    page.wait_for_selector("body[data-ready]")
    return page


def ask(page: Any, query: str) -> None:
    page.fill("#query", query)
    with page.expect_response("**/search"):
        page.keyboard.press("Enter")
    page.wait_for_selector(".hit")


@pytest.mark.parametrize("language", QUERIES)
def test_each_script_finds_and_reads_right(open_page, language, tmp_path):
    page = ready(open_page())
    ask(page, QUERIES[language])
    first = page.locator(".hit").first
    assert first.locator(".id").text_content() == f"{language}-1"
    passage = first.locator(".passage")
    assert passage.get_attribute("lang") == language
    expected = "rtl" if language == "ar" else "ltr"
    for part in (passage, page.locator("#query"), first):
        assert part.evaluate("node => getComputedStyle(node).direction") == expected
    assert passage.locator("mark").text_content() in passage.text_content()
    page.screenshot(path=tmp_path / f"{language}.png")


def test_a_query_asked_before_the_corpus_is_known_is_answered(browser, address):
    context = browser.new_context()
    page = context.new_page()
    held = []
    page.route("**/corpus", lambda route: held.append(route))  # a bound method is refused
    page.goto(address)
    page.fill("#query", QUERIES["de"])
    page.keyboard.press("Enter")
    page.wait_for_timeout(200)
    assert page.locator(".hit").count() == 0
    for route in held:
        route.continue_()
    page.wait_for_selector(".hit")
    assert page.locator(".hit .id").first.text_content() == "de-1"
    context.close()


def test_nothing_of_the_corpus_becomes_markup(open_page):
    page = ready(open_page())
    ask(page, "<script>window.pwned=1</script> bold")
    hit = page.locator(".hit", has=page.get_by_text("en-2", exact=True))
    assert hit.locator(".passage").text_content() == INJECTION
    assert hit.locator("h2").text_content() == "<svg onload='window.pwned=1'>"
    assert hit.locator("b, img, script, svg").count() == 0
    assert page.evaluate("window.pwned") is None
    assert page.input_value("#query") == "<script>window.pwned=1</script> bold"


def test_chips_modes_and_why(open_page):
    page = ready(open_page())
    ask(page, "keeper counts ships")
    assert page.locator(".chips button").count() == 6
    assert page.locator(".chips [data-language=en] .count").text_content() == "2"
    with page.expect_response("**/search"):
        page.click(".chips [data-language=hi]")
    page.wait_for_function("document.querySelectorAll('.hit').length === 1")
    assert page.locator(".hit .language").text_content() == "Hindi"
    assert page.evaluate("document.activeElement.dataset.language") == "hi"
    assert page.locator("[data-language=hi]").get_attribute("aria-pressed") == "true"
    with page.expect_response("**/search"):
        page.click("[data-language=hi]")
    with page.expect_response("**/search") as answer:
        page.locator("#modes input[value=lexical]").check()
    assert answer.value.json()["mode"] == "lexical"
    with page.expect_response("**/search") as answer:
        page.locator("#modes input[value=hybrid]").check()
    ranks = answer.value.json()["hits"][0]["ranks"]
    page.check("#why")
    shown = page.locator(".hit").first.locator(".why").inner_text()
    assert all(f"{name}\trank {ranks[name.lower()]}" in shown for name in ("Dense", "Lexical", "Fusion"))
    page.reload()
    ready(page).wait_for_selector(".hit")
    assert page.input_value("#query") == "keeper counts ships"
    assert page.locator("#modes input[value=hybrid]").is_checked()


def test_everything_by_keyboard(open_page):
    page = ready(open_page())
    page.keyboard.type("keeper counts ships")
    page.keyboard.press("Enter")
    page.wait_for_selector(".hit")
    page.keyboard.press("ArrowDown")
    focused = "document.activeElement.querySelector('.id')?.textContent"
    ids = page.locator(".hit .id").all_text_contents()
    assert page.evaluate(focused) == ids[0]
    for key, place in (("j", 1), ("j", 2), ("k", 1)):
        page.keyboard.press(key)
        assert page.evaluate(focused) == ids[place]
    page.keyboard.press("w")
    assert page.locator(".why").first.is_visible()
    page.keyboard.press("/")
    assert page.evaluate("document.activeElement.id") == "query"
    order = []
    for _ in range(6):
        page.keyboard.press("Tab")
        order.append(
            page.evaluate(
                "document.activeElement.id || document.activeElement.className || document.activeElement.name"
            )
        )
    assert order[:4] == ["go", "mode", "neutral", "why"], order


def test_the_report_shows_numbers_blanks_and_intervals(open_page, tmp_path):
    page = ready(open_page("#report"))
    cells = page.locator("#matrix td")
    assert cells.all_text_contents() == ["0.800", "0.400", "·", "0.600"]
    cells.first.hover()
    detail = page.locator("#report-detail")
    assert "95 % interval 0.700 to 0.900" in detail.text_content()
    cells.nth(2).focus()
    assert "blank, no <b>passages</b>" in detail.text_content()
    assert "mean 0.600 over 3 language pairs; 1 blank" in page.locator("#report-text").text_content()
    colours = [cells.nth(place).evaluate("node => getComputedStyle(node).backgroundColor") for place in (0, 1, 3)]
    assert len(set(colours)) == 3
    page.screenshot(path=tmp_path / "report.png")


@pytest.mark.parametrize(("width", "scheme"), VIEWS)
def test_accessible_and_never_too_wide(open_page, width, scheme, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page = ready(open_page(width=width, scheme=scheme))
    states = {"start": lambda: None, "hits": lambda: (ask(page, QUERIES["ar"]), page.check("#why"))}
    states["report"] = lambda: page.click("#view-report")
    for name, reach in states.items():
        reach()
        page.wait_for_timeout(250)
        page.screenshot(path=tmp_path / f"{name}-{width}-{scheme}.png", full_page=True)
        violations = axe.run(page).response["violations"]
        assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in violations] == [], name
        assert page.evaluate("document.documentElement.scrollWidth") <= width, name


def test_with_keys_the_page_asks_for_one(browser, make_app):
    with listening(make_app(keys=ApiKeys.of([KEY]))) as port:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{port}/")
        for key in ("wrong-wrong-wrong-wrong", KEY):
            page.wait_for_selector("#key-dialog[open]")
            page.fill("#key", key)
            page.keyboard.press("Enter")
        ready(page)
        ask(page, QUERIES["de"])
        assert page.locator(".hit").count() > 0
        page.close()
