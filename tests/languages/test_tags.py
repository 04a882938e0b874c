"""Every spelling of a language leads to one form.

1. MIRACL, FLORES, mteb, BCP 47 and ISO 639 spellings meet in one tag, and the form is a fixed point.
2. A script stays exactly where it is not the usual one.
3. What is no language is refused, with the nearest known one.
4. Every tag of the table has a name and a script, and no code belongs to two languages.
"""

from __future__ import annotations

from importlib import resources

import pytest

from isogloss.errors import UnknownLanguageError
from isogloss.languages import (
    is_undetermined,
    is_unspaced,
    iso_639_3,
    known_tags,
    language_name,
    normalize,
    usual_script,
)

SPELLINGS = {
    "sw": ["sw", "swa", "swh", "swh_Latn", "swa-Latn", "SW", "sw-KE"],
    "de": ["deu", "ger", "de-AT", "de_DE", "deu_Latn", " de ", "de-1996"],
    "en": ["eng-Latn", "en-US", "en_GB", "eng"],
    "zh": ["zh_CN", "zh-Hans", "cmn", "cmn-Hans", "zho_Hans", "chi", "zh-Hani", "zh-SG", "zho-Hans"],
    "zh-hant": ["zh-Hant", "zh_TW", "zho_Hant", "zh-HK", "cmn_Hant", "zh-Hant-TW"],
    "fa": ["pes", "pes_Arab", "fas", "per"],
    "ar": ["arb", "arb_Arab", "ara"],
    "ar-latn": ["arb_Latn", "ar-Latn"],
    "arz": ["arz_Arab"],
    "nb": ["nob", "nob_Latn", "no", "nor"],
    "sr": ["srp_Cyrl", "sr-RS"],
    "sr-latn": ["sr-Latn-RS", "srp_Latn"],
    "ks": ["kas_Arab"],
    "ks-deva": ["kas_Deva"],
    "pt": ["por", "pt-PT"],
    "pt-br": ["pt_BR", "pt-BR"],
    "yue": ["yue_Hant", "yue"],
    "ja": ["jpn_Jpan", "ja-Hira"],
    "ko": ["kor_Hang", "ko-Kore"],
    "tzm": ["tzm_Tfng"],
    "tl": ["fil", "tgl_Latn"],
    "he": ["iw", "heb_Hebr"],
    "id": ["ind_Latn", "in"],
    "yi": ["ydd_Hebr"],
    "es": ["es-419"],
    "sq": ["als_Latn"],
}


@pytest.mark.parametrize(("tag", "spelling"), [(tag, s) for tag, many in SPELLINGS.items() for s in many])
def test_spellings_meet_in_one_form(tag, spelling):
    assert normalize(spelling) == tag


@pytest.mark.parametrize("tag", [*known_tags(), *SPELLINGS])
def test_the_form_is_a_fixed_point(tag):
    assert normalize(tag) == tag
    assert normalize(f"{tag.partition('-')[0]}-{usual_script(tag)}") == (tag if tag != "pt-br" else "pt")


@pytest.mark.parametrize("wrong", ["", "xx", "qqq", "english", "a b", "de-", "de-x", "12", "zh-Qqqq", "d\u0435"])
def test_what_is_no_language_is_refused(wrong):
    with pytest.raises(UnknownLanguageError) as caught:
        normalize(wrong)
    assert repr(wrong)[1:-1] in str(caught.value)
    assert caught.value.next_step


def test_a_name_leads_to_its_tag():
    with pytest.raises(UnknownLanguageError, match=r"did you mean 'de' \(German\)"):
        normalize("German")
    with pytest.raises(UnknownLanguageError, match=r"did you mean 'sw' \(Swahili\)"):
        normalize("swahilli")


def test_a_tag_that_is_no_string_is_refused():
    with pytest.raises(UnknownLanguageError):
        normalize(7)  # type: ignore[arg-type]


def test_no_code_belongs_to_two_languages():
    lines = resources.files("isogloss.languages").joinpath("table.tsv").read_text("utf-8").splitlines()[1:]
    rows = [line.split("\t") for line in lines]
    codes = [code for row in rows for code in (row[0], *row[2].split(",")) if code != "-"]
    assert len(codes) == len(set(codes))
    assert all(len(row) == 4 and len(row[1]) == 4 and row[3].strip() for row in rows)


def test_names_say_script_and_region():
    assert language_name("swh_Latn") == "Swahili"
    assert language_name("zh-Hant") == "Chinese (traditional)"
    assert language_name("pt_BR") == "Portuguese (Brazil)"


@pytest.mark.parametrize(
    ("tag", "script"),
    [
        ("th", "Thai"),
        ("zh", "Hans"),
        ("zh-hant", "Hant"),
        ("sr-latn", "Latn"),
        ("ja", "Jpan"),
        ("prs", "Arab"),
        ("pt-br", "Latn"),
    ],
)
def test_usual_scripts(tag, script):
    assert usual_script(tag) == script


def test_unspaced_languages_and_scripts():
    assert all(map(is_unspaced, ["th", "zh", "zh-Hant", "ja", "km", "lo", "my", "bo", "yue", "Thai", "Hani", "hani"]))
    assert not any(map(is_unspaced, ["ko", "vi", "hi", "ar", "Kore", "Latn"]))


def test_three_letters_are_those_of_iso_639_3():
    tags = ("de", "fr", "zh", "zh-hant", "sw", "et", "tl", "nb", "fa", "arz", "pt-br", "ro")
    assert [iso_639_3(tag) for tag in tags] == [
        *("deu", "fra", "zho", "zho", "swa", "est", "tgl", "nob", "fas", "arz", "por", "ron"),
    ]
    for tag in known_tags():
        assert normalize(iso_639_3(tag)) == tag.partition("-")[0]


def test_und_is_no_language_and_no_misspelling():
    assert [is_undetermined(tag) for tag in ("und", " UND", "und_Latn", "unde", "nd", "")] == [True] * 3 + [False] * 3
    with pytest.raises(UnknownLanguageError, match="names no language") as caught:
        normalize("und")
    assert "did you mean" not in str(caught.value)
