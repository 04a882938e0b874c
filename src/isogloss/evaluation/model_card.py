"""Writes a model's card: how well it serves each language, what it was made of, its limits, how to make it again.

A README that is there keeps what its author wrote: only the part between two marks, and the fields of the head that
isogloss knows, are replaced.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from isogloss.datasets.registry import KNOWN_SETS
from isogloss.errors import DataError, UsageError
from isogloss.evaluation.card_header import header, split_header
from isogloss.evaluation.card_sources import ModelFacts, Scores, read_facts, read_scores
from isogloss.evaluation.pairs import MIXED
from isogloss.evaluation.report import BLANK, NOT_ASKED, Grid, is_by_language, markdown_list
from isogloss.files import check_file, check_folder, file_errors, write_text
from isogloss.languages import language_name
from isogloss.recipe import Recipe, load_recipe

START, END = "<!-- isogloss card: from here -->", "<!-- isogloss card: to here -->"
README = "README.md"
_WEAKEST = 5


@dataclass(frozen=True)
class Card:
    """A card, and what it says.

    Attributes:
        path: Where it belongs.
        text: All of it.
        languages: Languages that were measured.
        results: Pairs of languages with a value.
        missing: What a reader would look for and the card cannot say.
    """

    path: Path
    text: str
    languages: tuple[str, ...]
    results: int
    missing: tuple[str, ...]


def model_card(
    model: str | os.PathLike[str],
    reports: Sequence[str | os.PathLike[str]],
    *,
    out: str | os.PathLike[str] | None = None,
    name: str = "",
    licence: str = "",
    data: Sequence[str] = (),
    limits: Sequence[str] = (),
    manifest: str | os.PathLike[str] | None = None,
    recipe: str = "",
) -> Card:
    """The card of a model; `write_card` writes it.

    Args:
        model: The model's folder.
        reports: Folders that `evaluate` or `report` wrote, one for each evaluation set.
        out: Where the card belongs; None is the model's README.
        name: Name of the model; its folder's name where it is empty.
        licence: Licence of the model, as the hub writes it (`apache-2.0`).
        data: What it was trained on, a line for each text collection with its licence.
        limits: What it cannot do, beside what the scores and the model itself tell.
        manifest: Manifest of its training; None takes the one beside the model's folder.
        recipe: The recipe that makes it, by name or path, where there is no manifest.

    Raises:
        UsageError: If no report is given.
        FileError: If a path does not exist.
        DataError: If a file is not what isogloss writes, or a README is no text.
        RecipeError: If the recipe is faulty.
    """
    folder = check_folder(model)
    if not reports:
        raise UsageError("A card needs scores", next_step="Give at least one folder of `isogloss evaluate`.")
    scores = [read_scores(report) for report in reports]
    facts = read_facts(folder, manifest)
    named = name or (folder.parent.name if folder.name == "model" else folder.name)
    path = _place(folder, out)
    fields, rest = split_header(_text_of(next((old for old in (path, folder / README) if old.is_file()), None)))
    head = header(fields, name=named, licence=licence, scores=scores)
    wanted = {"licence": licence or fields.get("license"), "training data": data or facts.manifest}
    wanted["how to rebuild"] = recipe or facts.manifest
    return Card(
        path=path,
        text=head + _placed(rest or f"\n# {named}\n", _body(facts, scores, data, limits, recipe)),
        languages=tuple(sorted({tag for found in scores for tag in found.languages})),
        results=sum(not cell["blank"] for found in scores for cell in found.cells.values()),
        missing=tuple(title for title, found in wanted.items() if not found),
    )


def _body(facts: ModelFacts, scores: Sequence[Scores], data: Sequence[str], limits: Sequence[str], recipe: str) -> str:
    sections = {
        "How well it serves each language": "\n\n".join(_scores_section(found) for found in scores),
        "What it was made of": _data_section(facts, data),
        "Limits": _limits_section(facts, scores, limits),
        "How to make it again": _rebuild_section(facts, recipe),
    }
    body = "\n\n".join(f"## {title}\n\n{text}" for title, text in sections.items())
    return f"{START}\n\n{body}\n\n{END}"


def write_card(card: Card) -> None:
    """Writes a card to its place, whole or not at all."""
    write_text(card.path, card.text)


def _place(folder: Path, out: str | os.PathLike[str] | None) -> Path:
    path = folder if out is None else Path(out)
    return path / README if path.is_dir() else path


def _text_of(path: Path | None) -> str:
    if path is None:
        return ""
    try:
        with file_errors(path, "read"):
            return check_file(path).read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is no text in UTF-8: {error}", next_step="Save it as UTF-8.") from error


def _placed(text: str, ours: str) -> str:
    """The text with our part in the place of an older one, else at its end."""
    before, start, rest = text.partition(START)
    _, end, after = rest.partition(END)
    if start and not end:
        raise DataError(f"The README has the mark {START} without {END}", next_step="Remove it, or set the other one.")
    return f"{before}{ours}{after}" if start else f"{text.rstrip()}\n\n{ours}\n"


def _scores_section(scores: Scores) -> str:
    measure = scores.measures[0]
    known = KNOWN_SETS.get(scores.data)
    licence = f" ({known.licence})" if known else ""
    grid = _language_grid(scores, measure)
    others = ", ".join(scores.measures[1:])
    told = f" {others} of each pair of languages are in the head of this file." if others else ""
    return (
        f"{measure} on {scores.data}{licence}, with 95 % bootstrap intervals over queries, which do not cover what "
        f"another seed of the training would change.{told} By `isogloss evaluate MODEL --data {scores.data}`.\n\n"
        f"{grid.markdown()}"
    ).rstrip()


def _language_grid(scores: Scores, measure: str) -> Grid:
    """A row for each language; groups that differ in one language are columns, the others means by query language."""
    columns = [(scores, group) for group in scores.groups]
    if scores.baseline:
        columns += [
            (scores.baseline, group)
            for group in ("same", MIXED)
            if group in scores.baseline.groups and scores.baseline.summaries[group, measure]["counted"]
        ]
    sides = {tag for found, group in columns for pair in found.groups[group] for tag in pair} - {MIXED}
    rows = [
        (f"{tag} {language_name(tag)}", *(_entry(found, group, tag, measure) for found, group in columns))
        for tag in sorted(sides)
    ]
    titles = [_title(found, group, scores) for found, group in columns]
    summaries = [found.summaries[group, measure] for found, group in columns]
    totals = [
        (word, *(_mean(summary[word.partition(" ")[0]], summary) for summary in summaries))
        for word in ("macro mean", "micro mean")
    ]
    worst = ["; ".join(f"{name} {value:.3f}" for name, value in found["worst"][:_WEAKEST]) for found in summaries]
    return Grid(
        title=f"{measure} by language",
        header=("", *titles),
        rows=tuple(rows),
        totals=(*totals, (f"weakest {_WEAKEST}", *worst)),
        notes=scores.notes,
    )


def _title(found: Scores, group: str, scores: Scores) -> str:
    if is_by_language(group):
        return group if found is scores else f"{found.system} {group}"
    return f"{group}, mean by query language"


def _entry(scores: Scores, group: str, tag: str, measure: str) -> str:
    side = 1 if group.startswith("from-") else 0
    cells = [scores.cells[pair] for pair in scores.groups[group] if pair[side] == tag]
    if not cells:
        return NOT_ASKED
    values = [cell["scores"][measure] for cell in cells if not cell["blank"]]
    if not values:
        return BLANK
    if is_by_language(group):
        return f"{values[0]['value']:.3f} [{values[0]['low']:.3f}, {values[0]['high']:.3f}]"
    return f"{sum(value['value'] for value in values) / len(values):.3f} (of {len(values)})"


def _mean(value: float | None, summary: Mapping[str, Any]) -> str:
    if value is None:
        return BLANK
    counted, asked = summary["counted"], summary["asked"]
    return f"{value:.3f}" if counted == asked else f"{value:.3f} ({counted} of {asked})"


def _data_section(facts: ModelFacts, data: Sequence[str]) -> str:
    lines = list(data)
    for source, files in facts.manifest.get("data", {}).items():
        rows = facts.manifest["rows_seen"].get(source, {})
        largest = ", ".join(f"{tag} {count:,}" for tag, count in sorted(rows.items(), key=lambda item: -item[1]))
        hashes = ", ".join(f"`{Path(name).name}` (SHA-256 {digest[:16]}…)" for name, digest in files.items())
        lines.append(f"Source `{source}`: {hashes or 'no file'}" + (f"; rows seen: {largest}" if largest else ""))
    if facts.manifest and not data:
        lines.append("The licences of these texts were not stated.")
    return markdown_list(lines or ["The training data were not stated."])


def _limits_section(facts: ModelFacts, scores: Sequence[Scores], limits: Sequence[str]) -> str:
    lines = list(limits)
    measured = sorted({tag for found in scores for tag in found.languages})
    lines.append(f"Measured in {len(measured)} languages ({', '.join(measured)}); in others nothing is known of it.")
    if facts.is_static:
        lines.append("A text is the mean of its words' vectors: the order of words and their context are lost.")
    longest = _longest(facts)
    if longest:
        lines.append(f"It reads {longest} of a text; what is longer is cut.")
    for found in scores:
        lost = [text for text in found.texts if text["truncated"]]
        shares = ", ".join(f"{row['language']} {100 * row['truncated'] / row['texts']:.1f} %" for row in lost[:20])
        if lost:
            lines.append(f"Texts of {found.data} that it cuts: {shares}.")
    return markdown_list(lines)


def _longest(facts: ModelFacts) -> str:
    limits = {}
    for role, found in facts.notes.get("fingerprints", {}).items():
        limit = str(found.get("parts", {}).get("max_length", "None"))
        if limit.isdigit():
            limits[role] = f"{limit} tokens of a {role}"
    values = list(limits.values())
    return " and ".join(values)


def _rebuild_section(facts: ModelFacts, recipe: str) -> str:
    if recipe:
        found = load_recipe(recipe)
        command = f"isogloss train {recipe} --out FOLDER"
    elif facts.manifest:
        found = Recipe.model_validate(facts.manifest["recipe"])
        command = "isogloss train recipe.yaml --out FOLDER"
    else:
        return "Its maker did not say."
    versions = ", ".join(f"{name} {version}" for name, version in facts.manifest.get("versions", {}).items())
    minutes = f" It took {facts.manifest['seconds'] / 60:.1f} minutes." if "seconds" in facts.manifest else ""
    prints = facts.notes.get("fingerprints", {})
    digests = ", ".join(f"{role} `{found['digest'][:16]}…`" for role, found in prints.items())
    lines = [
        f"```console\n{command}\n```",
        f"{'Versions: ' + versions + '. ' if versions else ''}Same versions, same data, same result"
        f"{': fingerprints ' + digests if digests else ''}.{minutes} The recipe, every default written out:",
        f"```yaml\n{found.to_yaml()}```",
    ]
    return "\n\n".join(lines)
