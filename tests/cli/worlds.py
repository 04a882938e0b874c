"""Small worlds of files for the command line, and what runs it and looks at what is left."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from isogloss.cli.main import app
from tests.conftest import TINY_TEXTS

LANGUAGES = ("de", "en", "ru")
PASSAGES = {
    "de": ("Der Wärter zählt die Schiffe.", "Der Fluss mündet ins Meer.", "Brot wird früh gebacken."),
    "en": ("The keeper counts the ships.", "The river reaches the sea.", "Bread is baked early."),
    "ru": ("Смотритель считает корабли.", "Река впадает в море.", "Хлеб пекут рано утром."),
}
QUERIES = {
    "de": ("Wer zählt Schiffe?", "Wo mündet der Fluss?", "Wann wird Brot gebacken?"),
    "en": ("Who counts ships?", "Where does the river go?", "When is bread baked?"),
    "ru": ("Кто считает корабли?", "Где впадает река?", "Когда пекут хлеб?"),
}


def write_lines(path: Path, records: Iterable[Mapping[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def write_beir(folder: Path) -> Path:
    """A parallel BEIR folder: three passages and a query for each, in three languages of two scripts."""
    records: dict[str, list[dict[str, str]]] = {"corpus": [], "queries": []}
    judged = ["query-id\tcorpus-id\tscore"]
    for language in LANGUAGES:
        for number, (passage, query) in enumerate(zip(PASSAGES[language], QUERIES[language], strict=True)):
            name = f"{number}.{language}"
            records["corpus"].append({"_id": f"p{name}", "title": "", "text": passage, "lang": language})
            records["queries"].append({"_id": f"q{name}", "text": query, "lang": language})
            judged.append(f"q{name}\tp{name}\t1")
    for name, lines in records.items():
        write_lines(folder / f"{name}.jsonl", lines)
    (folder / "qrels").mkdir()
    (folder / "qrels" / "test.tsv").write_text("\n".join(judged) + "\n", encoding="utf-8")
    return folder


def write_rows(path: Path) -> Path:
    """Rows to tune with."""
    return write_lines(path, ({"query": f"{text[:9]}?", "positive": text, "lang": "en"} for text in TINY_TEXTS))


@dataclass(frozen=True)
class World:
    """A folder with a set, rows, two models, a bank and an evaluation of the first model."""

    folder: Path
    model: Path
    other_model: Path

    def __truediv__(self, name: str) -> Path:
        return self.folder / name

    @property
    def tuning(self) -> tuple[str, ...]:
        """Arguments of a run of two steps."""
        settings = (f"model.base={self.model}", f"sources.rows.path={self / 'rows.jsonl'}", "sources.rows.batch=4")
        steps = ("train.max_steps=2", "train.save_steps=1", "train.logging_steps=1")
        return ("english-query-tuning", *(part for setting in settings + steps for part in ("--set", setting)))


def run(*arguments: object) -> Result:
    """Runs the program in this process; an exception that it lets through is raised here."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def answer(result: Result) -> dict[str, Any]:
    """The one JSON object on standard output."""
    found = json.loads(result.stdout)
    assert isinstance(found, dict), result.stdout
    return found


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """Every file of a folder, hidden ones too: content and time of the last change."""
    return {
        str(path.relative_to(folder)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in folder.rglob("*")
        if path.is_file()
    }
