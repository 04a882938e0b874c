"""A sixth method takes one loss file and one recipe.

1. The page that says so is right: its files, as they stand there, are checked and trained from the command line.
2. The term has the value that its formula has; without negatives anywhere the run goes on.
3. A changed plugin is another run. A plugin that is broken, missing, nameless or takes a name is refused with the rest.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from isogloss.cli.main import app
from isogloss.errors import CheckpointError, RecipeError
from isogloss.files.yaml_text import read_yaml
from isogloss.losses import Embeddings
from isogloss.recipe import parse_recipe
from isogloss.training import train
from isogloss.training.assembly import RECIPE_CHECKS
from isogloss.training.plugins import registries
from tests.training.runs import recipe_content, write_rows

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "sixth-method.md"


def code(language: str) -> str:
    """The page's block in a language."""
    return re.search(rf"^```{language}\n(.*?)^```", PAGE.read_text("utf-8"), re.DOTALL | re.MULTILINE)[1]


@pytest.fixture
def folder(tmp_path, monkeypatch, tiny_static):
    """A folder with the page's files, some rows, and a tiny model in place of the bundled one."""
    monkeypatch.chdir(tmp_path)
    Path("my_loss.py").write_text(code("python"), encoding="utf-8")
    recipe = code("yaml").replace("base: bundled", f"base: {tiny_static}")
    Path("my-method.yaml").write_text(recipe, encoding="utf-8")
    write_rows(tmp_path)
    return tmp_path


def test_the_page_is_right(folder):
    commands = [line.removeprefix("$ ").split() for line in code("console").splitlines()]
    assert [words[:2] for words in commands] == [["isogloss", "recipe"], ["isogloss", "train"]]
    for words in commands:
        done = CliRunner().invoke(app, words[1:])
        assert done.exit_code == 0, done.output
    log = (folder / "trained" / "train-log.jsonl").read_text("utf-8")
    assert "term/hardest_negative(rows)" in log


def test_the_term_is_its_formula(folder):
    cls = registries(["my_loss.py"]).terms["hardest_negative"]
    generator = torch.Generator().manual_seed(0)
    query, passage = torch.randn(2, 2, 3, generator=generator)
    negatives = torch.randn(2, 2, 3, generator=generator)
    ids = {"negative_passages": torch.tensor([[5, 6], [7, -1]])}
    e = Embeddings({"query": query, "passage": passage, "negative_passages": negatives}, text_ids=ids)
    hardest = torch.stack([(negatives[0] @ query[0]).max(), negatives[1, 0] @ query[1]])
    expected = torch.log1p(torch.exp(hardest - (query * passage).sum(1))).mean()
    torch.testing.assert_close(cls(temperature=1.0)(e), expected)


def test_a_changed_plugin_is_another_run(folder, tiny_static):
    content = read_yaml(Path("my-method.yaml").read_text("utf-8"))
    train(parse_recipe(content), "out")
    Path("my_loss.py").write_text(code("python").replace("softplus", "relu"), encoding="utf-8")
    with pytest.raises(CheckpointError, match="another"):
        train(parse_recipe(content), "out")


@pytest.mark.parametrize(
    ("written", "message"),
    [
        ("import nowhere_at_all", "plugins[0]  my_loss.py fails: ModuleNotFoundError"),
        ("x = (", "fails: SyntaxError"),
        ("x = 1", "my_loss.py has no term"),
        (code("python").replace('term("hardest_negative"', 'term("triplet"'), "the name 'triplet' is taken"),
        (code("python").replace("@dataclass(frozen=True)\n", ""), "HardestNegative is no dataclass"),
        (None, "my_loss.py is no Python file"),
    ],
)
def test_a_faulty_plugin_is_refused_with_the_rest(tmp_path, monkeypatch, tiny_static, written, message):
    monkeypatch.chdir(tmp_path)
    content = recipe_content(tmp_path, tiny_static, objective=[{"term": "infonce", "on": "rows", "tau": 1}])
    if written is not None:
        Path("my_loss.py").write_text(written, encoding="utf-8")
    with pytest.raises(RecipeError) as caught:
        parse_recipe({**content, "plugins": ["my_loss.py"]}, checks=RECIPE_CHECKS)
    assert message in str(caught.value)
    assert "'infonce'; did you mean" in str(caught.value) or "is no option of 'infonce'" in str(caught.value)
    with pytest.raises(RecipeError):
        train(parse_recipe({**content, "plugins": ["my_loss.py"]}), tmp_path / "out")
    assert not (tmp_path / "out").exists()
