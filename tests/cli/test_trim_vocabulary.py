"""`isogloss trim-vocabulary`: exit code 0 and a folder with the same vectors, or 3, the reason, and no folder."""

from __future__ import annotations

import json

import numpy as np
import pytest
from typer.testing import CliRunner

from isogloss.cli.main import app
from isogloss.models import trim_vocabulary as module
from isogloss.models.retriever import Retriever
from isogloss.models.tensor_rows import copy_rows
from tests.conftest import TINY_TEXTS


@pytest.fixture
def corpus(tmp_path):
    path = tmp_path / "corpus.jsonl"
    languages = ["en", "en", "de", "es", "ru", "ru", "ar", "hi", "th", "zh", "en", "ru"]
    lines = [
        json.dumps({"_id": f"p{row}", "text": text, "lang": language})
        for row, (text, language) in enumerate(zip(TINY_TEXTS, languages, strict=True))
    ]
    path.write_text("\n".join(lines))
    return path


def run(*arguments):
    result = CliRunner().invoke(app, ["trim-vocabulary", *map(str, arguments), "--json"])
    return result.exit_code, json.loads(result.stdout)


def test_keeps_the_languages_that_are_asked_for(tiny_static, corpus, tmp_path):
    out = tmp_path / "out"
    command = (tiny_static, "--corpus", corpus, "--language", "en", "--language", "German", "--out", out)
    code, _ = run(*command)
    assert code == 1  # names of languages are no tags
    command = (tiny_static, "--corpus", corpus, "--language", "en", "--language", "deu", "--out", out)
    code, plan = run(*command, "--dry-run")
    assert code == 0 and plan["dry_run"] and not out.exists()
    code, result = run(*command)
    assert code == 0 and result["trimmed"] == str(out)
    assert [row["language"] for row in result["languages"]] == ["de", "en"]
    np.testing.assert_allclose(
        Retriever.load(out).encode_query([TINY_TEXTS[0]]), Retriever.load(tiny_static).encode_query([TINY_TEXTS[0]])
    )
    assert run(*command)[0] == 1  # the folder is not empty


def test_a_missing_language_is_named(tiny_static, corpus, tmp_path):
    code, result = run(tiny_static, "--corpus", corpus, "--language", "fr", "--out", tmp_path / "out")
    assert code == 1 and "fr" in result["error"]["faults"][0]["where"]


def test_a_failed_proof_leaves_nothing(tiny_static, corpus, tmp_path, monkeypatch):
    def shuffled(source, target, rows):
        copy_rows(source, target, {name: ids[::-1] for name, ids in rows.items()})

    monkeypatch.setattr(module, "copy_rows", shuffled)
    code, result = run(tiny_static, "--corpus", corpus, "--language", "en", "--out", tmp_path / "out")
    assert code == 3 and result["trimmed"] is None and "differ" in result["reason"]
    assert not (tmp_path / "out").exists()
