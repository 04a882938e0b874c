"""Known evaluation sets: where they come from, their licence and languages; and the layout of a path."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from isogloss.datasets.aligned import aligned_files, read_aligned
from isogloss.datasets.beir import read_beir
from isogloss.datasets.beir_files import is_beir
from isogloss.datasets.belebele import belebele_files, read_belebele
from isogloss.datasets.bitext import read_bitext
from isogloss.datasets.miracl import miracl_folders, read_miracl
from isogloss.datasets.mrtydi import mrtydi_folders, read_mrtydi
from isogloss.datasets.neuclir import neuclir_files, read_neuclir
from isogloss.datasets.open_answers import open_answer_files, read_open_answers
from isogloss.datasets.xquad import read_squad, squad_files
from isogloss.errors import DataError
from isogloss.records import EvalSet


class Reader(Protocol):
    """Reads one layout."""

    def __call__(self, path: Path, *, split: str | None = None) -> EvalSet:
        """Reads the set at `path`."""
        ...


@dataclass(frozen=True)
class KnownSet:
    """An evaluation set that can be asked for by its name.

    Attributes:
        name: The name.
        licence: Licence of its texts.
        languages: Languages of its queries, short tags; empty where there are too many to list.
        source: Where it comes from.
        hub: Its repository on the Hugging Face hub, with `@revision` where one is meant; empty where it has none in a
            layout that is read here.
        files: Patterns of the files to fetch from there.
        size: How many queries and passages, in words.
        both_ways: Name of the stored set whose passages are to be queries too; empty where it is stored as it is.
    """

    name: str
    licence: str
    languages: tuple[str, ...]
    source: str
    hub: str = ""
    files: tuple[str, ...] = ()
    size: str = ""
    both_ways: str = ""


@dataclass(frozen=True)
class Layout:
    """A way of laying out files.

    Attributes:
        name: Its name.
        looks_like: What a user sees, for messages.
        recognises: Whether a path is laid out so.
        read: The reader.
    """

    name: str
    looks_like: str
    recognises: Callable[[Path], bool]
    read: Reader


def _is_multiway(path: Path) -> bool:
    return path.is_file() and path.name.removesuffix(".gz").endswith(".jsonl")


def _has_questions(path: Path) -> bool:
    return bool(open_answer_files(path)[0])


LAYOUTS = (
    Layout("miracl", "miracl-v1.0-sw/topics/, miracl-corpus-v1.0-sw/", lambda p: bool(miracl_folders(p)), read_miracl),
    Layout("mrtydi", "mrtydi-v1.1-swahili/", lambda p: bool(mrtydi_folders(p)), read_mrtydi),
    Layout(
        "xor-retrieve",
        "xor_dev_retrieve_eng_span.jsonl or mkqa.jsonl.gz, with psgs_w100.tsv",
        _has_questions,
        read_open_answers,
    ),
    Layout(
        "neuclir",
        "topics.0720.utf8.jsonl, 2022-qrels.zho, zho/docs.jsonl",
        lambda p: bool(neuclir_files(p)),
        read_neuclir,
    ),
    Layout(
        "aligned",
        "deu_Latn.devtest, newstest2019-ref.deu.txt, tatoeba.deu-eng.deu",
        lambda p: bool(aligned_files(p)),
        read_aligned,
    ),
    Layout("beir", "corpus.jsonl, queries.jsonl, qrels/<split>.tsv, or de-corpus/, de-queries/, …", is_beir, read_beir),
    Layout("squad", "xquad.de.json, xquad.de/validation.parquet", lambda p: bool(squad_files(p)), read_squad),
    Layout("belebele", "deu_Latn.jsonl", lambda p: bool(belebele_files(p)), read_belebele),
    Layout("bitext", 'a file of lines like {"_id": …, "en": …, "de": …}', _is_multiway, read_bitext),
)

_XQUAD = ("ar", "de", "el", "en", "es", "hi", "ro", "ru", "th", "tr", "vi", "zh")
_MIRACL = ("ar", "bn", "de", "en", "es", "fa", "fi", "fr", "hi", "id", "ja", "ko", "ru", "sw", "te", "th", "yo", "zh")
_AFRIQA = ("bem", "fon", "ha", "ig", "rw", "tw", "zu")

KNOWN_SETS = {
    known.name: known
    for known in (
        KnownSet(
            "isogloss-demo", "Apache 2.0", ("ar", "de", "en", "es", "hi", "ru", "th", "zh"), "comes with isogloss"
        ),
        KnownSet("xquad", "CC BY-SA 4.0", _XQUAD, "google-deepmind/xquad", "google/xquad", size="12 × 1,190 / 240"),
        KnownSet(
            "mlqa",
            "CC BY-SA 3.0",
            ("ar", "de", "en", "es", "hi", "vi", "zh"),
            "facebookresearch/MLQA",
            "facebook/mlqa@refs/convert/parquet",
            ("mlqa.*.parquet",),
        ),
        KnownSet("belebele", "CC BY-SA 4.0", (), "facebookresearch/belebele", "facebook/belebele", ("data/*.jsonl",)),
        KnownSet("belebele-de-en", "CC BY-SA 4.0", ("de", "en"), "saeub/item-evaluation"),
        KnownSet("miracl", "Apache 2.0", _MIRACL, "project-miracl/miracl", "miracl/miracl"),
        KnownSet(
            "mrtydi",
            "Apache 2.0",
            ("ar", "bn", "en", "fi", "id", "ja", "ko", "ru", "sw", "te", "th"),
            "castorini/mr.tydi",
        ),
        KnownSet("squad-it", "CC BY-SA 4.0", ("it",), "crux82/squad-it"),
        KnownSet("drcd-zh-hant", "CC BY-SA 3.0", ("zh-hant",), "DRCKnowledgeTeam/DRCD"),
        KnownSet("heq-he", "CC BY 4.0", ("he",), "NNLP-IL/Hebrew-Question-Answering-Dataset"),
        KnownSet("iapp-th", "MIT", ("th",), "iapp-technology/iapp-wiki-qa-dataset"),
        KnownSet("norquad-nb", "CC0 1.0", ("nb",), "ltgoslo/NorQuAD"),
        KnownSet("tydiqa-id", "Apache 2.0", ("id",), "rifkiaputri/IDK-MRC"),
        KnownSet("afriqa", "CC BY 4.0", _AFRIQA, "masakhane-io/afriqa"),
        KnownSet("tatoeba", "CC BY 2.0 FR", (), "facebookresearch/LASER", size="to English, 112 × up to 1,000"),
        KnownSet(
            "tatoeba-both-ways",
            "CC BY 2.0 FR",
            (),
            "facebookresearch/LASER",
            size="to and from English, 112 × up to 1,000",
            both_ways="tatoeba",
        ),
        KnownSet(
            "miracl-hard-negatives",
            "Apache 2.0",
            _MIRACL,
            "project-miracl/miracl, passages that strong systems found",
            "mteb/MIRACLRetrievalHardNegatives",
        ),
        KnownSet("flores200", "CC BY-SA 4.0", (), "facebookresearch/flores (devtest)", size="204 × 1,012"),
        KnownSet("ntrex", "CC BY-SA 4.0", (), "MicrosoftTranslator/NTREX", size="128 × 1,997"),
        KnownSet("xor-retrieve", "MIT", ("ar", "bn", "fi", "ja", "ko", "ru", "te"), "AkariAsai/XORQA"),
        KnownSet("mkqa", "CC BY-SA 3.0", (), "apple/ml-mkqa", size="26 × 10,000"),
        KnownSet("neuclir", "ODC-By 1.0", ("en", "fa", "ru", "zh"), "trec.nist.gov, NeuCLIR/download-collection"),
        KnownSet("flores-sib200", "CC BY-SA 4.0", (), "dadelani/sib-200"),
    )
}


def layout_of(path: Path) -> Layout:
    """The layout of the files at a path.

    Raises:
        DataError: If it is in none that is known.
    """
    layout = next((layout for layout in LAYOUTS if layout.recognises(path)), None)
    if layout is None:
        known = "; ".join(f"{layout.name}: {layout.looks_like}" for layout in LAYOUTS)
        seen = ", ".join(sorted(entry.name for entry in path.iterdir())[:8]) if path.is_dir() else path.name
        inner = sorted(entry.name for entry in path.iterdir() if is_beir(entry)) if path.is_dir() else []
        step = f"Name one of the sets in it: {', '.join(inner)}." if inner else f"Known layouts are {known}."
        raise DataError(f"{path} is in no known layout; it has: {seen or 'nothing'}", next_step=step)
    return layout


def described(known: KnownSet) -> dict[str, object]:
    """A known set in plain JSON values."""
    return {
        "name": known.name,
        "licence": known.licence,
        "languages": list(known.languages),
        "size": known.size,
        "source": known.source,
        "hub": known.hub,
    }
