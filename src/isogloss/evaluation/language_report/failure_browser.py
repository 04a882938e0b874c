"""Queries that lost most, with what was found instead; texts run in the direction of their script."""

from __future__ import annotations

from collections.abc import Sequence

from isogloss.evaluation.language_report.audit import Audit
from isogloss.evaluation.language_report.elements import Html, element, joined
from isogloss.evaluation.language_report.failures import Failure, Shown
from isogloss.evaluation.language_report.words import direction, name_of, pair_in_words
from isogloss.records import Text

SHOWN_CHARACTERS = 320


def failure_section(found: Audit) -> Html:
    """A part per query language, closed at first."""
    against = f"against {found.baseline.evaluation.system}" if found.baseline else "of a perfect ranking"
    intro = (
        f"By language of the query: what lost most {against} in {found.evaluation.measures[0]}. A passage that is "
        "relevant has a bar at its side and the word ‘relevant’."
    )
    former = found.baseline.evaluation.system if found.baseline else None
    parts = [
        element(
            "details",
            element(
                "summary",
                name_of(language),
                " ",
                element(
                    "span",
                    f"{language} · {len(failures)} queries, the worst loses {failures[0].loss:.2f}",
                    class_="soft",
                ),
            ),
            element("div", [_failure(failure, found.evaluation.system, former) for failure in failures]),
            name="failures",
        )
        for language, failures in found.failures.items()
    ]
    return joined(element("p", intro), parts)


def _failure(failure: Failure, system: str, former: str | None) -> Html:
    change = f"{failure.after:.2f}" if failure.before is None else f"{failure.before:.2f} → {failure.after:.2f}"
    return element(
        "article",
        element(
            "p", f"{pair_in_words(failure.pair)} · {failure.measure} {change} · query {failure.query.id}", class_="soft"
        ),
        element("blockquote", failure.query.text, lang=failure.query.language, dir=direction(failure.query)),
        element(
            "div",
            element("h3", "Relevant: ", _label(failure.answer)),
            element("p", _text(failure.answer), lang=failure.answer.language, dir=direction(failure.answer)),
            class_="answer",
        ),
        element(
            "div",
            _ranking(system, failure.results),
            _ranking(former, failure.former) if former else None,
            class_="sides",
        ),
    )


def _ranking(system: str, results: Sequence[Shown]) -> Html:
    items = [
        element(
            "li",
            element("bdi", _label(shown.text), dir="ltr", class_="tag"),
            element("span", " relevant", class_="yes", lang="en") if shown.relevant else None,
            element("br"),
            _text(shown.text),
            lang=shown.text.language,
            dir=direction(shown.text),
            class_="right" if shown.relevant else None,
        )
        for shown in results
    ]
    content = element("ol", items) if items else element("p", "Nothing was found.")
    return element("div", element("h3", f"{system} found"), content)


def _label(text: Text) -> str:
    return f"{text.id} · {name_of(text.language or '')}" if text.language else text.id


def _text(text: Text) -> str:
    whole = f"{text.title}: {text.text}" if text.title else text.text
    if len(whole) <= SHOWN_CHARACTERS:
        return whole
    cut = whole[:SHOWN_CHARACTERS]
    at_a_space = cut.rpartition(" ")[0]  # scripts without spaces are cut anywhere
    return f"{at_a_space if len(at_a_space) > 0.8 * len(cut) else cut.rstrip()} …"
