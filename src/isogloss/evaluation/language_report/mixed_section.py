"""The pool of all languages: preference, ranks of translations, attention and fairness."""

from __future__ import annotations

from isogloss.evaluation.fairness import FAIRNESS_CUTOFF
from isogloss.evaluation.language_report.audit import Audit
from isogloss.evaluation.language_report.elements import Html, element, joined
from isogloss.evaluation.language_report.heat import Scale, legend
from isogloss.evaluation.language_report.words import (
    column_header,
    hundredths,
    listed,
    name_of,
    percent,
    row_header,
    table,
    with_interval,
)
from isogloss.evaluation.mixed_pool import MIXED_MEASURE, MixedPool
from isogloss.evaluation.results import Estimate


def mixed_section(found: Audit) -> Html:
    """What happens when passages of all languages compete."""
    rows = list(found.system.mixed.values())
    parts = [_verdict(rows), _behaviour(rows)]
    if any(row.rank_gap for row in rows):
        parts.append(_gaps(rows))
    parts.append(_by_passage_language(rows))
    return joined(parts)


def _verdict(rows: list[MixedPool]) -> Html:
    told = [(row.preference.value, row.query_language) for row in rows if row.preference]
    if not told:
        text = "No query has a relevant passage in its own language with a translation, so preference cannot be told."
        return element("p", text, class_="note")
    strong = sorted(told, reverse=True)[:3]
    listing = listed([f"{name_of(language)} ({percent(value)})" for value, language in strong])
    mean = sum(value for value, _ in told) / len(told)
    text = (
        f"A passage in the query's own language outranks its equally relevant translation in {percent(mean)} of cases, "
        f"where 50 % would be no preference. Most so for {listing}."
    )
    return element("p", text, class_="verdict")


def _behaviour(rows: list[MixedPool]) -> Html:
    lines = [
        element(
            "tr",
            row_header(row.query_language),
            element("td", f"{row.queries:,}"),
            element("td", _meter(row.preference), " ", with_interval(row.preference)),
            element("td", percent(row.unseen / (row.compared + row.unseen)) if row.compared + row.unseen else "–"),
            element("td", _attention(row)),
            element("td", with_interval(row.awrf)),
            element("td", with_interval(row.peer)),
        )
        for row in rows
    ]
    header = [
        "query language",
        "queries",
        "own language outranks its translation",
        "neither found",
        f"attention to own language, first {FAIRNESS_CUTOFF}",
        f"AWRF@{FAIRNESS_CUTOFF}",
        f"PEER@{FAIRNESS_CUTOFF}",
    ]
    explained = (
        "Attention weighs a rank by 1 / log2(rank + 1). AWRF (attention-weighted rank fairness; Sapiezynski et al. "
        "2019) is 1 where attention is spread over languages as the relevant passages are. PEER (probability of equal "
        "expected rank; Yang et al. 2024) is the p value of the test that relevant passages have equal ranks in all "
        "languages; it is left blank where no language has two of one grade, as in sets that are translated as a whole."
    )
    return joined(
        table("Queries of each language over passages of all languages.", header, lines),
        element("p", explained, class_="soft"),
    )


def _meter(value: Estimate | None) -> Html | None:
    """The interval on a line from 0 to 1, with no preference in its middle."""
    if value is None:
        return None
    style = f"left:{100 * value.low:.1f}%;width:{100 * (value.high - value.low):.1f}%"
    return element("span", element("i", style=style), class_="meter", aria_hidden="true")


def _attention(row: MixedPool) -> object:
    own = row.attention.get(row.query_language)
    return (
        "–"
        if own is None
        else [percent(own), element("span", f" of {len(row.attention)} languages", class_="interval")]
    )


def _gaps(rows: list[MixedPool]) -> Html:
    across = sorted({language for row in rows for language in row.rank_gap})
    lines = [
        element("tr", row_header(row.query_language), [_gap(row.rank_gap.get(language)) for language in across])
        for row in rows
    ]
    caption = (
        "How many ranks below the passage in the query's language its translation stands, median over queries. "
        "What was not found counts as right below the last result."
    )
    return joined(
        element("h3", "Ranks between a passage and its translation"),
        table(caption, ["", *map(column_header, across)], lines),
    )


def _gap(value: float | None) -> Html:
    if value is None:
        return element("td", "–", class_="unasked")
    written = f"{value:+.0f}" if value == int(value) else f"{value:+.1f}"
    return element("td", written.replace("-", "−"))


def _by_passage_language(rows: list[MixedPool]) -> Html:
    across = sorted({language for row in rows for language in row.ndcg})
    scale = Scale.of([value.value for row in rows for value in row.ndcg.values()])
    lines = [
        element("tr", row_header(row.query_language), [_value(row, language, scale) for language in across])
        for row in rows
    ]
    caption = (
        f"{MIXED_MEASURE} × 100 of the same rankings if only passages in one language were relevant: how easily each "
        "language is found. Query language down, passage language across."
    )
    return joined(
        element("h3", "What is found of each language"),
        table(caption, ["", *map(column_header, across)], lines, class_="heat"),
        legend(scale),
    )


def _value(row: MixedPool, language: str, scale: Scale) -> Html:
    value = row.ndcg.get(language)
    if value is None:
        return element("td", "–", class_="blank", title="no query has a relevant passage in this language")
    own = " own" if language == row.query_language else ""
    title = f"{value.value:.3f}, 95 % interval {value.low:.3f} to {value.high:.3f}"
    return element("td", hundredths(value.value), class_=f"w{scale.step(value.value)}{own}", title=title)
