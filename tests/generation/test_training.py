"""A generator's training does what its equations say, and a stopped run ends as the unbroken one.

1. L_gen is the mean over rows of each query's own mean; mini-batches change neither value nor gradient.
2. L_rank has the method's worked value; λ adds the generation loss; a row's number of negatives is its own.
3. Killed and resumed equals unbroken, bit for bit, kept weights included.
4. It learns: the loss over its rows falls. No passage is on both sides of the split.
5. A prompt names the language of the query, once; faults of a recipe come together.
"""

from __future__ import annotations

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

from isogloss.datasets import read_rows
from isogloss.errors import DataError, RecipeError, UsageError
from isogloss.generation import QueryGenerator, run, train_generator
from isogloss.generation.prompts import Prompt
from isogloss.generation.recipe import load_generator_recipe, shipped_generator_recipes
from isogloss.generation.rows import labelled_rows
from isogloss.generation.settings import GeneratorTrainSettings, RowsSettings
from isogloss.generation.step import GenerationStep, ranking_loss, token_rows
from isogloss.training.sources.base import Drawn
from isogloss.training.step import Batch
from tests.cli.worlds import write_lines
from tests.generation.conftest import labelled
from tests.generation.test_likelihood import plain

TINY = (
    "model.base=new",
    "model.new={pieces: 150, dimension: 16, layers: 1, heads: 2, feed_forward: 24}",
    "model.max_source_tokens=48",
    "train.batch=4",
    "train.learning_rate=0.01",
    "train.logging_steps=1",
)


def settings_of(rows, *more: str) -> list[str]:
    return [f"rows.path={rows}", "rows.development_share=0.3", *TINY, *more]


def batch_of(count: int) -> Batch:
    drawn = Drawn({"row": np.arange(count)}, np.zeros(count, dtype=np.int64))
    return Batch({"rows": drawn}, {"rows": {}})


def value_and_gradient(generator, rows, budget: int, **settings):
    chosen = GeneratorTrainSettings(mini_batch_tokens=budget, **settings)
    step = GenerationStep(generator, token_rows(generator, rows, 15), chosen, nullcontext)
    generator.model.zero_grad()
    evaluated = step(batch_of(len(rows)))
    gradients = [value.grad.clone() for value in generator.model.parameters()]
    return evaluated, torch.cat([gradient.flatten() for gradient in gradients])


@pytest.mark.parametrize("stage", ["generation", "ranking"])
def test_mini_batches_change_neither_value_nor_gradient(generator, rows, stage):
    generator.model.eval()
    read = read_rows(rows)
    read[1] = replace(read[1], negative_passages=read[1].negative_passages[:1])
    wanted, gradient = value_and_gradient(generator, read, 10**6, stage=stage, generation_weight=0.5)
    found, other = value_and_gradient(generator, read, 1, stage=stage, generation_weight=0.5)
    assert float(found.loss) == pytest.approx(float(wanted.loss), abs=1e-5)
    torch.testing.assert_close(other, gradient, atol=1e-5, rtol=1e-4)


def test_the_generation_loss_is_the_mean_of_each_querys_mean(generator, rows):
    read = read_rows(rows)
    generator.model.eval()
    found, _ = value_and_gradient(generator, read, 10**6)
    means = [
        np.mean(plain(generator, generator.prompt.render(row.passage, row.query_language), row.query)) for row in read
    ]
    assert float(found.loss) == pytest.approx(-np.mean(means), abs=1e-4)


@pytest.mark.parametrize("count_eos", [True, False])
def test_the_ranking_loss_is_that_of_the_scores(generator, rows, count_eos):
    generator.model.eval()
    generator.count_eos = count_eos
    read = read_rows(rows)[:4]
    found, _ = value_and_gradient(generator, read, 200, stage="ranking", generation_weight=0.25)
    ranking, generation = [], []
    for row in read:
        sources = [generator.prompt.render(text, row.query_language) for text in (row.passage, *row.negative_passages)]
        tokens = [plain(generator, source, row.query) for source in sources]
        scores = np.asarray([np.mean(values if count_eos else values[:-1]) for values in tokens])
        ranking.append(-np.log(np.exp(scores[0]) / np.exp(scores).sum()))
        generation.append(-np.mean(tokens[0]))
    assert float(found.terms["ranking"]) == pytest.approx(np.mean(ranking), abs=1e-4)
    assert float(found.loss) == pytest.approx(np.mean(ranking) + 0.25 * np.mean(generation), abs=1e-4)


def test_the_worked_ranking_loss():
    scores = torch.tensor([[-0.2, -0.9, -1.4], [-0.2, -torch.inf, -torch.inf]], dtype=torch.float64)
    assert ranking_loss(scores).tolist() == pytest.approx([0.586552, 0.0], abs=1e-6)


def test_killed_and_resumed_equals_unbroken(rows, tmp_path, monkeypatch):
    more = ("train.max_steps=6", "train.save_steps=2", "train.eval_steps=1")
    whole = train_generator("query-generator", tmp_path / "whole", overrides=settings_of(rows, *more), progress=False)
    calls = []
    step = GenerationStep.__call__

    def dies(self, batch, *, measure=False):
        calls.append(batch)
        if len(calls) == 6:
            raise KeyboardInterrupt
        return step(self, batch, measure=measure)

    monkeypatch.setattr(run.GenerationStep, "__call__", dies)
    with pytest.raises(KeyboardInterrupt):
        train_generator("query-generator", tmp_path / "broken", overrides=settings_of(rows, *more), progress=False)
    monkeypatch.setattr(run.GenerationStep, "__call__", step)
    resumed = train_generator(
        "query-generator", tmp_path / "broken", overrides=settings_of(rows, *more), progress=False
    )
    assert resumed.resumed_from == 4
    assert (resumed.best_step, resumed.best_loss) == (whole.best_step, whole.best_loss)
    for name in ("train-log.jsonl", "development-log.jsonl"):
        assert (tmp_path / "broken" / name).read_text() == (tmp_path / "whole" / name).read_text()
    one, other = (load_file(tmp_path / name / "model" / "model.safetensors") for name in ("whole", "broken"))
    assert one.keys() == other.keys()
    assert all(np.array_equal(one[name], other[name]) for name in one)


def test_it_learns_and_opens_again(rows, tmp_path):
    overrides = settings_of(rows, "train.max_steps=40", "rows.development_share=0")
    report = train_generator("query-generator", tmp_path / "run", overrides=overrides, progress=False)
    first = float(
        next(iter((tmp_path / "run" / "train-log.jsonl").read_text().splitlines())).split('"loss": ')[1].split(",")[0]
    )
    assert report.losses["loss"] < 0.8 * first
    generator = QueryGenerator.load(report.model)
    assert (generator.max_source_tokens, generator.prompt) == (48, Prompt())
    assert not generator.model.training
    assert not list((tmp_path / "run").rglob("*.bin")) + list((tmp_path / "run").rglob("*.pt"))


def test_no_passage_is_on_both_sides(tmp_path):
    lines = [{"query": f"q{place}", "positive": f"passage {place % 40}", "lang": "en"} for place in range(200)]
    path = write_lines(tmp_path / "many.jsonl", lines)
    found = labelled_rows(RowsSettings(path=str(path), development_share=0.3), seed=1, need_negatives=False)
    sides = [{row.passage for row in side} for side in (found.training, found.held_out)]
    assert not sides[0] & sides[1]
    assert len(found.training) + len(found.held_out) == 200
    assert 20 <= len(found.held_out) <= 110


def test_faults_of_rows_come_together(tmp_path):
    path = write_lines(tmp_path / "r.jsonl", [{**labelled()[0], "lang": None}, {"query": "q", "positive": "p"}])
    with pytest.raises(DataError, match="rows: 3 problems"):
        labelled_rows(RowsSettings(path=str(path)), seed=1, need_negatives=True)


def test_faults_of_a_recipe_come_together(rows):
    overrides = ["train.max_step=3", "train.learning_rate=-1", "rows.path=x"]
    with pytest.raises(
        RecipeError, match=r"(?s)2 problems.*learning_rate.*max_step.*did you mean 'max_steps'"
    ) as found:
        load_generator_recipe("query-generator", overrides=overrides)
    assert len(found.value.faults) == 2


def test_shipped_recipes_are_sound():
    names = shipped_generator_recipes()
    assert set(names) == {"query-generator", "query-generator-ranking"}
    assert all(load_generator_recipe(name).description for name in names)


def test_the_prompt_names_the_language_of_the_query():
    prompt = Prompt("In {Language} ({language}): {title} {passage}")
    assert prompt.render("A {lamp}.", "zh-hant", title="T {passage}") == (
        "In Chinese (traditional) (zh-hant): T {passage} A {lamp}."
    )
    assert prompt.render("A lamp.", "de") == "In German (de): A lamp."


@pytest.mark.parametrize(
    "template", ["{passage}", "{Language} {Passage}", "{Language} {passage} {passage}", "{Language} {title}: {passage}"]
)
def test_a_prompt_without_its_fields_is_refused(template):
    with pytest.raises(UsageError, match="prompt"):
        Prompt(template)


def test_a_new_tokenizer_keeps_every_character(generator):
    text = "Ünknown 灯塔: São, हिन्दी?"
    tokens = generator.tokenizer(text)["input_ids"]
    assert generator.tokenizer.decode(tokens, skip_special_tokens=True).strip() == text
