"""Held-out rows share no passage with those that are trained on, and the draw depends on texts alone."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from experiments.diversity import ONE_TASK, PARTS, TASKS, shared_out
from experiments.diversity import ROWS as ROWS_OF_AN_ARM
from experiments.hard_negatives import NEGATIVES, drawn, with_random_negatives
from experiments.rows import held_out, made, part_of, set_of_rows

from isogloss.datasets import load, read_rows
from isogloss.datasets.beir_writing import write_beir
from isogloss.records import EvalSet, Row, Text

ROWS = [Row(f"question {n}?", f"passage {n // 2}", "de" if n % 3 else "en", "de", title="T") for n in range(200)]


def test_all_rows_of_a_passage_go_the_same_way_whatever_their_order() -> None:
    kept, apart = held_out(ROWS, 0.3)
    assert not {row.passage for row in kept} & {row.passage for row in apart}
    assert len(kept) + len(apart) == 200
    assert 30 < len(apart) < 90
    assert {row.query for row in held_out(ROWS[::-1], 0.3)[1]} == {row.query for row in apart}


def test_a_set_of_rows_finds_each_passage_of_a_question_among_those_of_all(tmp_path: Path) -> None:
    asked = [Row("why?", "one", "en", "en"), Row("why?", "two", "en", "en"), Row("who?", "two", "en", "en")]
    made(tmp_path / "set", lambda: set_of_rows("set", asked, [Row("no", "three", "en", "en")]))
    found = load(str(tmp_path / "set"))
    texts = {passage.id: passage.text for passage in found.passages}
    relevant = {query.text: {texts[name] for name in found.qrels[query.id]} for query in found.queries}
    assert relevant == {"why?": {"one", "two"}, "who?": {"two"}}
    assert set(texts.values()) == {"one", "two", "three"}


def test_what_is_there_is_not_made_again(tmp_path: Path) -> None:
    made(tmp_path / "rows.jsonl", lambda: ROWS[:2])
    made(tmp_path / "rows.jsonl", lambda: ROWS[:5])
    assert [row.query for row in read_rows(str(tmp_path / "rows.jsonl"))] == ["question 0?", "question 1?"]


def test_a_smaller_draw_is_a_part_of_a_larger_one_and_seeds_differ() -> None:
    small, large = ({row.query for row in drawn(ROWS, size, 13)} for size in (10, 30))
    assert small < large
    assert len(small) == 20
    assert small != {row.query for row in drawn(ROWS, 10, 14)}
    assert small == {row.query for row in drawn(ROWS[::-1], 10, 13)}


def test_random_negatives_are_of_the_language_and_answer_nothing_that_is_known() -> None:
    rows = [Row(f"question {n // 2}?", f"{name} {n}", "de", name) for n in range(20) for name in ("de", "th")]
    answers = {row.query: {other.passage for other in rows if other.query == row.query} for row in rows}
    for row in with_random_negatives(rows):
        assert len(set(row.negative_passages)) == NEGATIVES
        assert not set(row.negative_passages) & answers[row.query]
        assert {text.split()[0] for text in row.negative_passages} == {row.passage_language}


def test_a_part_of_a_set_keeps_each_question_in_all_its_languages_and_every_passage(tmp_path: Path) -> None:
    languages = ("de", "en")
    passages = [
        Text(f"p{n}.{one}", f"{one} passage {n}", one, parallel_id=f"p{n}") for n in range(4) for one in languages
    ]
    queries = [
        Text(f"q{n}.{one}", f"{one} query {n}", one, parallel_id=f"q{n}") for n in range(60) for one in languages
    ]
    qrels = {query.id: {f"p0.{query.language}": 1} for query in queries}
    write_beir(EvalSet("whole", tuple(queries), tuple(passages), qrels), tmp_path / "whole")
    part = part_of(tmp_path / "whole", 0.3)
    kept = {query.parallel_id for query in part.queries}
    assert 6 < len(kept) < 30
    assert len(part.queries) == 2 * len(kept) == len(part.qrels)
    assert len(part.passages) == 8


def test_every_arm_of_the_diversity_has_as_many_rows_shared_out_evenly() -> None:
    names = {name for group in (ONE_TASK, TASKS) for files in group.values() for name in files}
    kept = {name: [Row(f"{name} {n}?", f"{name} {n}", "en", "en", source=name) for n in range(7000)] for name in names}
    for groups, _ in PARTS.values():
        drawn_rows = shared_out(kept, groups, 13)
        assert ROWS_OF_AN_ARM - 7 <= len(drawn_rows) <= ROWS_OF_AN_ARM
        assert {row.source for row in drawn_rows} == {n for group in groups for files in group.values() for n in files}
        assert drawn_rows != shared_out(kept, groups, 14)
    counts = Counter(row.source for row in shared_out(kept, PARTS["both"][0], 13))
    assert counts["ja-jaquad"] == counts["th-iapp"] == 600
    assert counts["en-medquad"] == counts["en-scitldr"] == 428
