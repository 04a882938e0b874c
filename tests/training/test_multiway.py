"""Rows from files with many languages a line.

1. A batch holds one pair of languages of one file, and both members of each pair come from one line.
2. A batch is a function of seed and step.
3. Shares do what they say: English in all pairs, one language alone, weights of files.
4. With neighbours, the query is one of the lines of its passage, in the other language.
5. Languages that are not wanted, and lines without both languages, never come.
"""

import json

import numpy as np
import pytest

from isogloss.errors import DataError
from isogloss.recipe import SourceSettings
from isogloss.training.sources import MultiwayKind, SourceContext
from isogloss.training.texts import TextTable

LINES = 120


@pytest.fixture
def files(tmp_path):
    wide = tmp_path / "wide.jsonl"
    with wide.open("w", encoding="utf-8") as file:
        for line in range(LINES):
            record = {"_id": f"w{line}", "en": f"en {line}", "de": f"de {line}", "ru": f"ru {line}"}
            if line % 2:
                record["th"] = f"th {line}"
            if line < 40:
                record["_also"] = {"de": [f"auch {line}"]}
            file.write(json.dumps(record) + "\n")
    narrow = tmp_path / "pairs" / "en-fr.tsv"
    narrow.parent.mkdir()
    narrow.write_text("".join(f"english {line}\tfrançais {line}\n" for line in range(LINES)), encoding="utf-8")
    return [str(wide), str(narrow)]


def opened(files, *, seed=1, batch=16, **options):
    context = SourceContext("s", 0, seed, TextTable(), lambda title, passage: passage)
    source = MultiwayKind(**options).open(SourceSettings(path=files, batch=batch), context)
    assert not context.faults
    return source, context.texts


def drawn_texts(source, texts, step):
    columns = source.draw(step).columns
    return [tuple(texts[int(number)] for number in row) for row in zip(*columns.values(), strict=True)]


def number(text):
    return text.split()[-1]


def test_both_members_come_from_one_line_and_one_pair_of_languages(files):
    source, texts = opened(files)
    for step in range(30):
        pairs = drawn_texts(source, texts, step)
        assert len(pairs) == 16
        assert all(number(first) == number(second) for first, second in pairs)
        assert len({(first.split()[0], second.split()[0]) for first, second in pairs}) == 1


def test_a_batch_is_a_function_of_seed_and_step(files):
    first, texts = opened(files)
    second, others = opened(files)
    forwards = [drawn_texts(first, texts, step) for step in range(5)]
    backwards = [drawn_texts(second, others, step) for step in reversed(range(5))]
    assert forwards == backwards[::-1]
    third, more = opened(files, seed=2)
    assert [drawn_texts(third, more, step) for step in range(5)] != forwards


def test_english_share_puts_english_into_every_pair(files):
    source, texts = opened(files[:1], english_share=1.0)
    assert all("en" in {text.split()[0] for text in drawn_texts(source, texts, step)[0]} for step in range(30))


def test_same_language_share_keeps_to_one_language(files):
    source, texts = opened(files[:1], same_language_share=1.0, neighbours=(2, 4))
    for step in range(20):
        assert all(query.split()[0] == passage.split()[0] for query, passage in drawn_texts(source, texts, step))


def test_weights_of_files_decide_which_file_is_drawn(files):
    source, texts = opened(files, file_weights={"pairs": 0.0})
    assert not any(
        "français" in text for step in range(40) for pair in drawn_texts(source, texts, step) for text in pair
    )


def test_the_query_is_a_line_of_its_passage(files):
    source, texts = opened(files[:1], neighbours=(2, 4), languages=("en", "de"))
    for step in range(20):
        for query, passage in drawn_texts(source, texts, step):
            assert number(query) in [word for word in passage.split() if word.isdigit()]


def test_languages_that_are_not_wanted_never_come(files):
    source, texts = opened(files, exclude=("ru", "th"))
    seen = {text.split()[0] for step in range(60) for pair in drawn_texts(source, texts, step) for text in pair}
    assert seen == {"en", "de", "english", "français"}


def test_a_line_without_both_languages_never_comes(files):
    source, texts = opened(files[:1], languages=("de", "th"), batch=60)
    numbers = {int(number(first)) % 2 for step in range(5) for first, _ in drawn_texts(source, texts, step)}
    assert numbers == {1}


def test_synonyms_become_pairs(files):
    source, texts = opened(files[:1], synonyms=True, languages=("en", "de"))
    seen = {text.split()[0] for step in range(60) for pair in drawn_texts(source, texts, step) for text in pair}
    assert "auch" in seen


def test_favoured_languages_come_more_often(files):
    def share(**options):
        source, texts = opened(files[:1], english_share=0.0, batch=1, **options)
        return np.mean(
            [any(text.startswith("ru") for text in drawn_texts(source, texts, step)[0]) for step in range(200)]
        )

    assert share(favoured=("ru",), favour=20.0) > share() + 0.2


def test_the_exponent_decides_between_proportion_and_uniform(files):
    def share(exponent):  # of Thai, which half of the lines have
        source, texts = opened(files[:1], english_share=0.0, batch=1, language_exponent=exponent)
        return np.mean(
            [any(text.startswith("th") for text in drawn_texts(source, texts, step)[0]) for step in range(400)]
        )

    uniform, root, proportion = share(0.0), share(0.5), share(4.0)
    assert uniform > root + 0.05 > proportion + 0.1
    assert MultiwayKind().language_exponent == 0.5


def test_files_without_two_languages_are_a_fault(tmp_path):
    path = tmp_path / "one.jsonl"
    path.write_text('{"_id": "1", "en": "alone"}\n', encoding="utf-8")
    context = SourceContext("s", 0, 1, TextTable(), lambda title, passage: passage)
    MultiwayKind().open(SourceSettings(path=[str(path)], batch=4), context)
    assert "no lines in two languages" in str(context.faults[0])


def test_no_rows_in_common_is_one_clear_error(tmp_path):
    path = tmp_path / "apart.jsonl"
    with path.open("w", encoding="utf-8") as file:
        for line in range(80):
            language = "en" if line < 40 else "de"
            file.write(json.dumps({"_id": str(line), language: f"text {line}"}) + "\n")
    source, _ = opened([str(path)])
    with pytest.raises(DataError, match="share 32 lines"):
        source.draw(0)
