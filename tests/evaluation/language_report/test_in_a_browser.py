"""The report in a real browser (headless Chromium), with three scripts, two of them from right to left.

1. axe finds no violation, wide and at 360 px, in light and in dark, with every part opened.
2. Nothing is wider than the screen, and nothing is asked of any host.
3. One measure is shown at a time.
4. Texts run in the direction of their script; what is no text of the set runs from left to right.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from isogloss.datasets import load
from isogloss.evaluation.language_report import report

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
sync_api = pytest.importorskip("playwright.sync_api")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here")
LANGUAGES = ("ar", "en", "zh")
FEW = 12


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A report of two made-up systems over a few texts of the demo set, every pair and the pool of all."""
    whole = load("isogloss-demo")
    demo = whole.select(query_languages=LANGUAGES, passage_languages=LANGUAGES)
    runs: dict[str, dict[str, dict[str, dict[str, float]]]] = {"good": {}, "bad": {}}
    for query_language in LANGUAGES:
        for passage_language in (*LANGUAGES, "mixed"):
            named = f"{query_language}-{passage_language}"
            tags = LANGUAGES if passage_language == "mixed" else (passage_language,)
            passages = [text.id for text in demo.passages if text.language in tags][: FEW * len(tags)]
            queries = [text.id for text in demo.queries if text.language == query_language][:FEW]
            for name, shift in (("good", 0), ("bad", 5)):
                runs[name][named] = {
                    query: {passage: -float((place + shift - number) % FEW) for place, passage in enumerate(passages)}
                    for number, query in enumerate(queries)
                }
    folder = tmp_path_factory.mktemp("report") / "audit"
    options = {"pairs": "all,mixed", "measures": "nDCG@10,RR@10", "resamples": 20, "heatmap": False, "progress": False}
    report(runs["bad"], demo, folder, baseline=runs["good"], name="bad", baseline_name="good", **options)
    return folder / "report.html"


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


def opened(browser: Any, file: Path, width: int, scheme: str) -> tuple[Any, list[str]]:
    page = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme).new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(file.as_uri())
    page.evaluate(
        "document.querySelectorAll('details').forEach(one => { one.removeAttribute('name'); one.open = true })"
    )
    return page, asked


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1200, 360])
def test_accessible_self_contained_and_never_too_wide(browser, page_file, width, scheme, tmp_path):
    axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
    page, asked = opened(browser, page_file, width, scheme)
    page.screenshot(path=tmp_path / f"report-{width}-{scheme}.png", full_page=True)
    assert page.locator("details article").count() > 3
    violations = axe.run(page).response["violations"]
    assert [(one["id"], [node["html"] for node in one["nodes"]][:3]) for one in violations] == []
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert asked == [page_file.as_uri()]
    page.close()


def test_texts_run_as_their_script_does(browser, page_file):
    page, _ = opened(browser, page_file, 360, "light")
    directions = page.eval_on_selector_all(
        "blockquote, article li, .answer p", "nodes => nodes.map(n => [n.lang, getComputedStyle(n).direction])"
    )
    assert {tuple(one) for one in directions} == {("ar", "rtl"), ("en", "ltr"), ("zh", "ltr")}
    heads = page.eval_on_selector_all("h2, h3, th", "nodes => nodes.map(n => getComputedStyle(n).direction)")
    assert set(heads) == {"ltr"}
    page.close()


def test_one_measure_is_shown_at_a_time(browser, page_file):
    page, _ = opened(browser, page_file, 1200, "light")
    shown = "nodes => nodes.map(n => getComputedStyle(n).display)"
    assert page.eval_on_selector_all("#matrix .tabs > div", shown) == ["block", "none"]
    page.click("#matrix label >> text=RR@10")
    assert page.eval_on_selector_all("#matrix .tabs > div", shown) == ["none", "block"]
    page.close()
