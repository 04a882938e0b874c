"""How values and languages are written in the report."""

from __future__ import annotations

from collections.abc import Sequence

from isogloss.errors import UnknownLanguageError
from isogloss.evaluation.language_report.elements import Html, element
from isogloss.evaluation.pairs import MIXED, UNDETERMINED, Pair
from isogloss.evaluation.results import Estimate
from isogloss.languages import language_name, usual_script
from isogloss.records import Text

RIGHT_TO_LEFT = frozenset({"Adlm", "Arab", "Hebr", "Mand", "Mend", "Nkoo", "Rohg", "Samr", "Syrc", "Thaa"})
_NAMES = {MIXED: "all languages", UNDETERMINED: "no language given"}


def name_of(tag: str) -> str:
    """English name of a language."""
    if tag in _NAMES:
        return _NAMES[tag]
    try:
        return language_name(tag)
    except UnknownLanguageError:
        return tag


def pair_in_words(pair: Pair) -> str:
    """Such as `Thai queries, English passages`."""
    return f"{name_of(pair.query_language)} queries, {name_of(pair.passage_language)} passages"


def row_header(tag: str) -> Html:
    """Header of a row: name and tag; on a narrow screen the tag alone."""
    name = element("span", name_of(tag), " ", class_="narrow-off")
    return element("th", name, element("span", tag, class_="tag"), scope="row")


def column_header(tag: str) -> Html:
    """Header of a column: the tag, with the name for those who point at it or have it read."""
    shown = "all" if tag == MIXED else tag
    return element("th", element("abbr", shown, title=name_of(tag), style="text-decoration:none"), scope="col")


def direction(text: Text) -> str:
    """`rtl` for a text of a language that is written from right to left; `auto` where nobody says the language."""
    if not text.language or text.language == UNDETERMINED:
        return "auto"
    try:
        return "rtl" if usual_script(text.language) in RIGHT_TO_LEFT else "ltr"
    except UnknownLanguageError:
        return "auto"


def hundredths(value: float) -> str:
    """A score as a whole number of hundredths, for narrow cells."""
    return f"{100 * value:.0f}"


def with_interval(value: Estimate | None) -> object:
    """A value with its interval, or a dash."""
    if value is None:
        return "–"
    return [f"{value.value:.3f} ", element("span", f"[{value.low:.3f}, {value.high:.3f}]", class_="interval")]


def percent(share: float | None) -> str:
    """A share in percent; a dash where there is none, and never `0 %` for what is not 0; unbreakable."""
    if share is None:
        return "–"
    return "< 0.1\u00a0%" if 0 < share < 0.001 else f"{100 * share:.1f}\u00a0%"


def listed(names: Sequence[str]) -> str:
    """Names with commas, and `and` before the last."""
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def table(caption: str, header: Sequence[object], rows: Sequence[Html], *, class_: str = "rows") -> Html:
    """A table in a box that scrolls by itself, also with the keyboard."""
    columns = [_heading(name) for name in header]
    body = element(
        "table",
        element("caption", caption),
        element("thead", element("tr", columns)),
        element("tbody", list(rows)),
        class_=class_,
    )
    return element("div", body, class_="scroll", tabindex=0, role="region", aria_label=caption)


def _heading(name: object) -> Html:
    """A cell of the head; the corner above the rows' names heads nothing."""
    if isinstance(name, Html) and name.startswith("<th"):
        return name
    return element("th", name, scope="col") if name else element("td")
