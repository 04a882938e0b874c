"""What the methods ask of their batches.

1. With `distinct` a batch never holds two rows of one passage, and an epoch still shows nearly every row.
2. `batch_language` and `batch_source` give homogeneous batches, alone and together.
3. Rows bring translated, generated and negative queries and their numbers; scores follow the negatives that are taken.
4. A generated query is never in the query's language, and comes with the probability of its step.
5. No sentence translates another of its batch or a member of the batch's pairs, or has the language of these pairs.
6. All faults of an input come at once; language contrast without semantic contrast is refused unless forced.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from isogloss.datasets.sentences import Sentence, read_sentences
from isogloss.errors import RecipeError
from isogloss.recipe import SourceSettings, parse_recipe
from isogloss.records import GeneratedQuery, ParallelRow, Row
from isogloss.training import train
from isogloss.training.assembly import RECIPE_CHECKS
from isogloss.training.sources import NonparallelKind, ParallelKind, RowsKind, SourceContext
from isogloss.training.texts import TextTable
from tests.training.runs import recipe_content


def context(texts=None, **options):
    texts = TextTable() if texts is None else texts
    return SourceContext("name", 0, 1, texts, lambda title, text: f"{title} {text}".strip(), **options)


def source(rows, batch=4, **options):
    given = context()
    return RowsKind(**options).table(rows, SourceSettings(batch=batch), given), given


def rows_of(passages, **fields):
    return [Row(query=f"q{place}", passage=f"p{passage}", **fields) for place, passage in enumerate(passages)]


def test_no_batch_holds_two_rows_of_one_passage():
    passages = [place // 3 for place in range(30)]
    one, _ = source(rows_of(passages), distinct="passage", batch=5)
    plain, _ = source(rows_of(passages), batch=5)
    drawn = [one.draw(step).columns for step in range(6)]
    assert all(len(set(columns["passage"].tolist())) == len(columns["passage"]) for columns in drawn)
    assert any(len(set(plain.draw(step).columns["passage"].tolist())) < 5 for step in range(6))
    assert sum(len(columns["query"]) for columns in drawn) >= 27
    assert one.draw(3).columns["query"].tolist() == drawn[3]["query"].tolist()


@pytest.mark.parametrize(
    ("options", "one_language", "one_source"),
    [
        ({}, False, False),
        ({"batch_language": "one"}, True, False),
        ({"batch_source": "one"}, False, True),
        ({"batch_language": "one", "batch_source": "one"}, True, True),
    ],
)
def test_batches_are_homogeneous_where_they_should_be(options, one_language, one_source):
    rows = [
        Row(query=f"{name} {language} {place}", passage=f"p{place}", query_language=language, source=name)
        for place in range(8)
        for name in ("a", "b")
        for language in ("de", "fr")
    ]
    given = context()
    one = RowsKind(**options).table(rows, SourceSettings(batch=6), given)
    batches = [[given.texts[number].split() for number in one.draw(step).columns["query"]] for step in range(20)]
    assert all(len({words[0] for words in batch}) == 1 for batch in batches) == one_source
    assert all(len({words[1] for words in batch}) == 1 for batch in batches) == one_language


def test_scores_follow_the_negatives_that_are_taken():
    negatives = tuple(f"n{place}" for place in range(6))
    scores = (9.0, 0.0, 1.0, 2.0, 3.0, 4.0, 5.0)
    rows = [Row("q", "p", negative_passages=negatives, teacher_scores=scores), Row("q2", "p2")]
    one, given = source(rows, negatives=3, negative_pick="random")
    for columns, values in ((drawn.columns, drawn.values) for drawn in map(one.draw, range(3))):
        place = next(i for i, number in enumerate(columns["query"]) if given.texts[number] == "q")
        names = [given.texts[number] for number in columns["negative_passages"][place]]
        assert values["teacher_scores"][place].tolist() == [9.0, *(float(name[1:]) for name in names)]
        assert np.isnan(values["teacher_scores"][1 - place]).all()
    _, faulty = source([Row("q", "p", values={"trust": (1.0, 2.0)})], values=("trust",))
    assert "'trust' has another length in 1 rows" in str(faulty.faults[0])


def test_generated_queries_come_by_the_step():
    generated = tuple(GeneratedQuery(f"g {language}", language, 0.5) for language in ("en", "de", "sw"))
    rows = [Row(f"q{i}", f"p{i}", query_language="en", generated_queries=generated) for i in range(400)]
    one, given = source(rows, batch=400, generated_share=0.8, generated_ramp_steps=10)
    shares = []
    for step in (0, 5, 10, 50):
        drawn = one.draw(step)
        numbers = drawn.columns["generated_query"]
        shares.append(np.mean(numbers >= 0))
        assert {given.texts[number] for number in numbers if number >= 0} <= {"g de", "g sw"}
        assert np.isnan(drawn.values["generated_weight"][numbers < 0]).all()
    assert shares[0] == 0
    assert shares[1:] == pytest.approx([0.4, 0.8, 0.8], abs=0.07)
    assert one.draw(5).columns["generated_query"].tolist() == one.draw(5).columns["generated_query"].tolist()


def pairs_and_sentences(**options):
    texts = TextTable()
    pairs = [ParallelRow(f"en{i}", f"{language}{i}", "en", language) for i in range(40) for language in ("de", "fr")]
    opened = {"pairs": ParallelKind().table(pairs, SourceSettings(batch=8), context(texts))}
    translations = {"sw": "de", "de": "sw"}
    sentences = [
        Sentence(f"{language}{i}", language, (f"en{i}", f"{other}{i}"))
        for i in range(40)
        for language, other in translations.items()
    ]
    sentences += [Sentence(f"fr{i}", "fr") for i in range(40)]
    given = context(texts, opened=opened)
    kind = NonparallelKind(beside="pairs", **options)
    return opened["pairs"], kind.table(sentences, SourceSettings(batch=10), given), texts


@pytest.mark.parametrize("prefer", [True, False])
def test_no_sentence_translates_anything_in_its_step(prefer):
    pairs, sentences, texts = pairs_and_sentences(prefer_unpaired=prefer)
    seen = set()
    for step in range(30):
        drawn, beside = sentences.draw(step).columns["nonparallel_sentence"], pairs.draw(step).columns
        meanings = [texts[number][2:] for number in drawn]
        of_pairs = {texts[number][2:] for number in beside["parallel_source"]}
        assert len(drawn) == 10
        assert len(set(meanings)) == len(meanings)
        assert not set(meanings) & of_pairs
        languages = {texts[number][:2] for number in drawn}
        assert texts[beside["parallel_target"][0]][:2] not in languages
        seen |= languages
    assert seen == ({"sw"} if prefer else {"sw", "de", "fr"})


def test_sentences_are_read_in_every_form(tmp_path):
    (tmp_path / "wiki.sw.txt").write_text("moja\n\nmbili\n", encoding="utf-8")
    lines = [{"text": "eins", "lang": "de"}, {"nonparallel_sentence": "deux", "language": "fr"}]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    (tmp_path / "b.jsonl").write_text(json.dumps({"_id": "1", "en": "one", "de": "eins"}) + "\n", encoding="utf-8")
    (tmp_path / "en-de.tsv").write_text("two\tzwei\n", encoding="utf-8")
    assert list(read_sentences(tmp_path / "wiki.sw.txt")) == [Sentence("moja", "sw"), Sentence("mbili", "sw")]
    assert list(read_sentences(tmp_path / "a.jsonl")) == [Sentence("eins", "de"), Sentence("deux", "fr")]
    two = [Sentence("one", "en", ("eins",)), Sentence("eins", "de", ("one",))]
    assert list(read_sentences(tmp_path / "b.jsonl")) == two
    assert [one.translations for one in read_sentences(tmp_path / "en-de.tsv")] == [("zwei",), ("two",)]


def test_language_contrast_alone_is_refused_unless_forced(tmp_path, tiny_static):
    def content(weight, **options):
        objective = [
            {"term": "infonce", "on": "rows"},
            {"term": "semantic_contrastive", "on": "parallel", "weight": weight},
            {"term": "language_contrastive", "on": ["parallel", "plain"], "weight": 0.1, **options},
        ]
        given = recipe_content(tmp_path, tiny_static, objective=objective)
        (tmp_path / "sw.txt").write_text("moja mbili\ntatu nne\n", encoding="utf-8")
        given["sources"]["plain"] = {"kind": "nonparallel", "path": str(tmp_path / "sw.txt"), "batch": 4}
        return given

    with pytest.raises(RecipeError, match="without 'semantic_contrastive'"):
        parse_recipe(content(0.0), checks=RECIPE_CHECKS)
    with pytest.raises(RecipeError, match="force: true"):
        train(parse_recipe(content(0.0)), tmp_path / "out")
    parse_recipe(content(0.0, force=True), checks=RECIPE_CHECKS)
    report = train(parse_recipe(content(0.5), checks=RECIPE_CHECKS), tmp_path / "out")
    assert report.rows_seen["plain"] == {"sw": 6}
    line = json.loads((tmp_path / "out" / "train-log.jsonl").read_text("utf-8").splitlines()[-1])
    assert {"excess/language_contrastive(parallel+plain)", "spread/query+passage"} <= line.keys()


def test_terms_that_lack_roles_or_values_are_named_together(tmp_path, tiny_static):
    objective = [{"term": name, "on": "rows"} for name in ("clear", "distillation", "alignment")]
    with pytest.raises(RecipeError) as caught:
        train(parse_recipe(recipe_content(tmp_path, tiny_static, objective=objective)), tmp_path / "out")
    for part in ("needs 'translated_query'", "the values 'teacher_scores'", "needs 'generated_query'"):
        assert part in str(caught.value)
