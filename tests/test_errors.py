"""An error says where, what, what is allowed and what next.

1. All faults of one input come in one error, in their order; beyond twenty they are counted.
2. No fault, no error.
3. A near miss is named; a far one is not.
"""

from __future__ import annotations

import pytest

from isogloss.errors import (
    DataError,
    Fault,
    IsoglossError,
    MissingExtraError,
    UsageError,
    did_you_mean,
    raise_faults,
)


def test_all_faults_stand_in_one_error_in_their_order():
    faults = [Fault("a.jsonl:3", "first", "an id"), Fault("", "second"), Fault("a.jsonl:9", "third")]
    with pytest.raises(DataError) as caught:
        raise_faults(DataError, "a.jsonl", faults, "Mend them.")
    lines = str(caught.value).splitlines()
    assert lines == [
        "a.jsonl: 3 problems",
        "  a.jsonl:3  first (an id)",
        "  second",
        "  a.jsonl:9  third",
        "Mend them.",
    ]
    assert caught.value.faults == tuple(faults)


def test_beyond_twenty_faults_are_counted_but_kept():
    faults = [Fault(str(number), "wrong") for number in range(25)]
    with pytest.raises(UsageError) as caught:
        raise_faults(UsageError, "input", faults)
    assert "… and 5 more" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 22
    assert len(caught.value.faults) == 25


def test_one_problem_is_singular():
    with pytest.raises(DataError, match=r"^x: 1 problem\n"):
        raise_faults(DataError, "x", [Fault("x:1", "wrong")])


def test_no_fault_no_error():
    raise_faults(DataError, "x", [])


def test_a_near_miss_is_named_and_a_far_one_is_not():
    assert (
        did_you_mean("semantic_contrast", ["infonce", "semantic_contrastive"])
        == "; did you mean 'semantic_contrastive'?"
    )
    assert did_you_mean("zzz", ["infonce"]) == ""


def test_a_missing_extra_says_how_to_install_it():
    error = MissingExtraError("Training", "train")
    assert isinstance(error, IsoglossError)
    assert "pip install 'isogloss[train]'" in str(error)
