"""The script of a text is that of most of its letters.

1. Digits, signs and marks do not count; a text without letters has none.
2. Japanese and Korean are told from Chinese by their own letters.
3. On real texts the table's usual script is the one found (where shared data are at hand).
"""

from __future__ import annotations

from collections import Counter, defaultdict

import pytest

from isogloss.files import read_jsonl
from isogloss.languages import script_of, usual_script

HAN = ("Hans", "Hant")


@pytest.mark.parametrize(
    ("text", "script"),
    [
        ("Where does the river end?", "Latn"),
        ("Где река?", "Cyrl"),
        ("أين النهر", "Arab"),
        ("नदी कहाँ है", "Deva"),
        ("แม่น้ำอยู่ที่ไหน", "Thai"),
        ("河在哪里", "Hani"),
        ("川は何処", "Jpan"),
        ("강은 어디에", "Kore"),
        ("大韓民國은 어디에 있습니까", "Kore"),
        ("ｶﾀｶﾅ", "Jpan"),
        ("ⵜⴰⴼⵉⵏⵉⵖ", "Tfng"),
        ("ᱥᱟᱱᱛᱟᱲᱤ", "Olck"),
        ("GPS 全球定位系统怎么用呢", "Hani"),
        ("12 + 30 = 42!", "Zyyy"),
        ("", "Zyyy"),
    ],
)
def test_script_of(text, script):
    assert script_of(text) == script


def test_usual_scripts_agree_with_real_texts(shared_data):
    seen: dict[str, Counter[str]] = defaultdict(Counter)
    for line, record in read_jsonl(shared_data / "bitext-eval/flores-sib200.jsonl.gz"):
        if line > 20:
            break
        for tag, text in record.items():
            if not tag.startswith("_"):
                seen[tag][script_of(text)] += 1
    wrong = {}
    for tag, counts in seen.items():
        found, usual = counts.most_common(1)[0][0], usual_script(tag)
        if found != usual and not (found == "Hani" and usual in HAN):
            wrong[tag] = (usual, found)
    assert not wrong
    assert len(seen) > 200
