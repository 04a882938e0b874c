"""f_qg belongs to a query and a passage, whatever else is computed beside them.

1. It equals the log-softmax of a plain, unbatched forward pass, token by token.
2. Padding and the size of a batch do not change it; neither does the order of pairs.
3. The mean divides by the query's own length, with its end or without; the method's worked values come out.
4. The cache computes nothing twice, survives a reopening, and is blind to no change of prompt, language or weights.
"""

from __future__ import annotations

import numpy as np
import pytest
import torch

from isogloss.errors import FileError, UsageError
from isogloss.files import read_jsonl
from isogloss.generation import ScoreSettings, likelihood, score_rows
from isogloss.generation.likelihood import Likelihood, log_likelihoods
from isogloss.generation.round_trip import teacher_distribution
from tests.cli.worlds import PASSAGES, QUERIES

PAIRS = [
    (f"Write in {language}: {passage}" * (1 + place), QUERIES[language][place])
    for language in ("de", "en", "ru")
    for place, passage in enumerate(PASSAGES[language])
]


def plain(generator, source: str, query: str) -> list[float]:
    """Log-probabilities of the query's tokens and its end, one pair alone, without padding or cache."""
    encode = generator.tokenizer
    source_ids = torch.tensor([encode(source)["input_ids"][: generator.max_source_tokens]])
    source_ids[0, -1] = encode.eos_token_id
    query_ids = encode(query)["input_ids"]
    start = torch.tensor([[encode.pad_token_id, *query_ids[:-1]]])
    with torch.no_grad():
        logits = generator.model.eval()(input_ids=source_ids, decoder_input_ids=start).logits[0]
    table = logits.double().log_softmax(-1)
    return [float(table[place, token]) for place, token in enumerate(query_ids)]


def test_it_is_the_log_softmax_of_a_plain_forward_pass(generator):
    sources, queries = zip(*PAIRS, strict=True)
    found = log_likelihoods(generator, sources, queries, batch_tokens=10_000)
    for (source, query), one in zip(PAIRS, found, strict=True):
        expected = plain(generator, source, query)
        assert one.tokens == pytest.approx(sum(expected[:-1]), abs=1e-4)
        assert one.end == pytest.approx(expected[-1], abs=1e-4)
        assert one.count == len(expected) - 1


@pytest.mark.parametrize("budget", [1, 60, 10_000])
def test_padding_and_batches_change_nothing(generator, budget):
    generator.model.double()
    sources, queries = zip(*PAIRS, strict=True)
    alone = [log_likelihoods(generator, [source], [query])[0] for source, query in PAIRS]
    together = log_likelihoods(generator, sources[::-1], queries[::-1], batch_tokens=budget)[::-1]
    for one, other in zip(alone, together, strict=True):
        # The log-probabilities are taken in float32.
        assert (other.tokens, other.end, other.count) == (
            pytest.approx(one.tokens, abs=2e-5),
            pytest.approx(one.end, abs=2e-6),
            one.count,
        )


def test_the_generator_keeps_its_mode_and_gets_no_gradient(generator):
    generator.model.train()
    log_likelihoods(generator, *zip(*PAIRS[:2], strict=True))
    assert generator.model.training
    assert all(parameter.grad is None for parameter in generator.model.parameters())


def test_mean_sum_and_end():
    one = Likelihood(tokens=-3.0, end=-1.0, count=3)
    assert one.score(length_norm=True, count_eos=True) == -1.0
    assert one.score(length_norm=True, count_eos=False) == -1.0
    assert one.score(length_norm=False, count_eos=True) == -4.0
    assert Likelihood(-3.0, -3.0, 3).score(length_norm=True, count_eos=True) == -1.5


@pytest.mark.parametrize(("length_norm", "expected"), [(True, (0.668188, 0.331812)), (False, (0.890903, 0.109097))])
def test_worked_values_of_the_teacher(length_norm, expected):
    tokens = [(-0.2, -0.3, -0.1), (-0.9, -1.1, -0.7)]
    scores = [Likelihood(sum(row), 0.0, 3).score(length_norm=length_norm, count_eos=False) for row in tokens]
    assert teacher_distribution(scores) == pytest.approx(expected, abs=1e-6)


def test_an_empty_query_has_no_likelihood(generator):
    with pytest.raises(UsageError, match="no token"):
        log_likelihoods(generator, ["a"], [""])


@pytest.fixture
def saved(generator, tmp_path):
    generator.save(tmp_path / "generator")
    return tmp_path / "generator"


def test_rows_get_a_score_for_each_candidate_and_nothing_is_computed_twice(generator, saved, rows, tmp_path):
    cache = tmp_path / "cache.sqlite"
    report = score_rows(rows, tmp_path / "out.jsonl", generator=saved, cache=cache, progress=False)
    assert (report.pairs, report.computed, report.rows) == (27, 27, {"de": 3, "en": 3, "ru": 3})
    record = next(record for _, record in read_jsonl(tmp_path / "out.jsonl"))
    sources = [generator.prompt.render(text, "de") for text in (record["positive"], *record["negative_passages"])]
    expected = [np.mean(plain(generator, source, record["query"])) for source in sources]
    assert record["teacher_scores"] == pytest.approx(expected, abs=1e-4)
    again = score_rows(rows, tmp_path / "again.jsonl", generator=saved, cache=cache, progress=False)
    assert again.computed == 0
    assert (tmp_path / "again.jsonl").read_bytes() == (tmp_path / "out.jsonl").read_bytes()
    total = score_rows(
        rows,
        tmp_path / "sum.jsonl",
        generator=saved,
        cache=cache,
        settings=ScoreSettings(length_norm=False),
        progress=False,
    )
    assert total.computed == 0


def test_a_changed_weight_or_prompt_is_not_found_in_the_cache(generator, rows, tmp_path):
    from dataclasses import replace

    from isogloss.generation.prompts import Prompt

    cache = tmp_path / "cache.sqlite"
    score_rows(rows, tmp_path / "1.jsonl", generator=replace(generator), cache=cache, progress=False)
    other = replace(generator, prompt=Prompt("Ask in {Language}: {passage}"))
    assert score_rows(rows, tmp_path / "2.jsonl", generator=other, cache=cache, progress=False).computed == 27
    with torch.no_grad():
        next(iter(generator.model.parameters()))[0, 0] += 1e-3
    changed = replace(generator)
    assert score_rows(rows, tmp_path / "3.jsonl", generator=changed, cache=cache, progress=False).computed == 27


def test_a_stopped_run_keeps_what_it_scored(generator, rows, tmp_path, monkeypatch):
    whole = likelihood._of_batch
    calls = []

    def stops(*arguments):
        calls.append(arguments)
        if len(calls) > 5:
            raise KeyboardInterrupt
        return whole(*arguments)

    settings = ScoreSettings(batch_tokens=1)
    monkeypatch.setattr(likelihood, "_of_batch", stops)
    with pytest.raises(KeyboardInterrupt):
        score_rows(rows, tmp_path / "out.jsonl", generator=generator, settings=settings, progress=False)
    assert not (tmp_path / "out.jsonl").exists()
    monkeypatch.setattr(likelihood, "_of_batch", whole)
    report = score_rows(rows, tmp_path / "out.jsonl", generator=generator, settings=settings, progress=False)
    assert (report.pairs, report.computed) == (27, 22)


def test_a_file_that_is_no_cache_is_told(generator, rows, tmp_path):
    (tmp_path / "cache").write_text("no database at all, only words", encoding="utf-8")
    with pytest.raises(FileError, match="cache of scores"):
        score_rows(rows, tmp_path / "out.jsonl", generator=generator, cache=tmp_path / "cache", progress=False)
