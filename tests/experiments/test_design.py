"""What an arm sets is what the recipe reads."""

from __future__ import annotations

import pytest
import yaml
from experiments.design import as_overrides


@pytest.mark.parametrize(
    "value", [None, 64, 0.01, True, "", "words: with a colon", "...", [1, "a"], {"a": {"b": None}}]
)
def test_an_override_is_one_line_and_reads_as_its_value(value: object) -> None:
    (text,) = as_overrides({"train.field": value})
    name, _, written = text.partition("=")
    assert (name, yaml.safe_load(written)) == ("train.field", value)
    assert "\n" not in text
