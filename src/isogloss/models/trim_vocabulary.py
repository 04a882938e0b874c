"""Makes a model smaller by the rows of its vocabulary that the user's languages do not need, and proves it the same."""

from __future__ import annotations

import os
import re
import shutil
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tokenizers import Tokenizer

from isogloss.engines.static import StaticEngine
from isogloss.engines.truncated import whole_engine
from isogloss.errors import DataError, Fault, ModelError, ParityError, UsageError, raise_faults
from isogloss.files import atomic_folder, read_json, refuse_occupied, write_json
from isogloss.models.fingerprints import Fingerprint
from isogloss.models.folder import TOKENIZER_DIGESTS, read_model_folder
from isogloss.models.hub import resolve_model
from isogloss.models.persistence import static_tokenizer_digests
from isogloss.models.retriever import ROLES, Retriever
from isogloss.models.tensor_rows import copy_rows, read_header
from isogloss.models.trimming import Keep, PieceUse, TrimmedTokenizer, count_use, trim_tokenizer
from isogloss.progress import progress_bar
from isogloss.records import Text

MOST_DIFFERENCE = 1e-6
ENCODED_PER_LANGUAGE = 32  # texts of a transformer whose vectors are compared; of a static model all are
TEXTS_PER_BATCH = 256
CUT_OTHERWISE = "Nothing was written. Keep more pieces (keep='characters'), or leave the texts named out of the corpus."
OTHER_VECTORS = (
    "Nothing was written. Save the model again with sentence-transformers and trim that; if it is refused again, use "
    "it untrimmed and report the model."
)
TABLE = re.compile(
    r"(^|\.)(embedding|word_embeddings|embed_tokens|tok_embeddings|wte|shared|lm_head|predictions\.decoder|decoder)"
    r"\.(weight|bias)$|(^|\.)predictions\.bias$|^embeddings$|^weights$"
)
# What other tokenizers than tokenizer.json are read from, and exports of the whole model.
LEFT_BEHIND = ("vocab.txt", "vocab.json", "merges.txt", "*.model", "onnx", "openvino", "README.md")


@dataclass(frozen=True)
class LanguageTexts:
    """Texts of a language.

    Attributes:
        language: The language.
        texts: How many the corpus has.
        outside: Those of them that are now cut differently: none, unless rare pieces were left out on purpose.
        checked: How many other texts were looked at.
        checked_outside: Those of them that are now cut differently.
    """

    language: str
    texts: int
    outside: int
    checked: int
    checked_outside: int


@dataclass(frozen=True)
class Place:
    """One tokenizer of the model with its table.

    Attributes:
        name: Its folder inside the model's.
        pieces_before: Rows of the table.
        pieces: Rows that stay.
    """

    name: str
    pieces_before: int
    pieces: int


@dataclass(frozen=True)
class TrimReport:
    """What was left out, and what the proof found.

    Attributes:
        places: The tokenizers of the model.
        bytes_before: Size of the files of weights and tokenizers.
        bytes_after: The same of the new model.
        languages: By language.
        vectors: Number of vectors that were compared.
        largest_difference: Largest difference of any number in them.
    """

    places: tuple[Place, ...]
    bytes_before: int
    bytes_after: int
    languages: tuple[LanguageTexts, ...]
    vectors: int
    largest_difference: float

    def to_json(self) -> dict[str, Any]:
        """The report as JSON."""
        return asdict(self)


def trim_vocabulary(
    model: str | Path,
    corpus: Sequence[Text],
    out: str | os.PathLike[str] | None,
    *,
    check: Sequence[Text] = (),
    keep: Keep = "characters",
    least_texts: int = 1,
    progress: bool = False,
) -> TrimReport:
    """Writes the model with the pieces that the corpus needs, if it gives the same ids and vectors.

    Args:
        model: Model folder, hub name, or `bundled`.
        corpus: Texts in the languages that the model is to keep.
        out: The folder to make; None makes and proves it and keeps nothing.
        check: Other texts, of which is counted how many are now cut differently.
        keep: `characters` keeps every piece that is written with characters of the corpus, so that other texts in these
            characters are cut as before; `used` keeps the pieces that the corpus has and single characters.
        least_texts: Pieces that fewer texts need do not count as needed; above 1 the texts that need them change, and
            the proof is over the others.
        progress: Whether a bar is shown.

    Raises:
        ParityError: If a text is cut differently or a vector differs; nothing is written then.
        ModelError: If the model is of a kind that cannot be trimmed.
        DataError: If the corpus has no texts.
        UsageError: If `least_texts` is less than 1.
        FileError: If the system refuses.
    """
    if least_texts < 1:
        raise UsageError(f"least_texts: {least_texts} (allowed: 1 and more)")
    if not corpus:
        raise DataError("The corpus has no texts", next_step="Give texts in every language that the model is to keep.")
    source = resolve_model(model)
    _refuse_exports(source)
    original = Retriever.load(source, on_overflow="ignore", device="cpu")
    folders = _tokenizer_folders(source)
    if out is not None:
        refuse_occupied(out)
    with TemporaryDirectory() if out is None else atomic_folder(out) as made:
        folder = Path(made)
        trimmed = {
            place: _trim_place(
                source, place, folder, _use(source / place, original, corpus, progress), keep, least_texts
            )
            for place in folders
        }
        _copy_rest(source, folder, folders)
        report = _prove(source, folder, original, trimmed, corpus, check, strict=least_texts == 1)
        _note(folder, report)
    return report


def _refuse_exports(source: Path) -> None:
    described = read_model_folder(source, source.name)
    if described.exported_as is not None and not described.is_static:
        raise ModelError(
            f"{source} holds graphs, whose tables cannot be trimmed",
            next_step="Trim the model that it was exported from, and export the result.",
        )


def _tokenizer_folders(source: Path) -> list[str]:
    """Folders inside the model's that hold a tokenizer and weights."""
    found = [
        path.parent.relative_to(source).as_posix()
        for path in sorted(source.rglob("tokenizer.json"))
        if any(path.parent.glob("*.safetensors"))
    ]
    if not found:
        raise ModelError(
            f"{source} has no folder with both tokenizer.json and *.safetensors",
            next_step="Load it with isogloss or sentence-transformers and save it again.",
        )
    return found


def _use(place: Path, original: Retriever, corpus: Sequence[Text], progress: bool) -> PieceUse:
    """What the texts need of the tokenizer at `place`."""
    tokenizer, use = _whole_tokenizer(place), PieceUse()
    with progress_bar(f"Counting pieces of {place.name}", len(corpus), show=progress) as advance:
        for batch in _batches(corpus):
            counted = count_use(tokenizer, _strings(original, batch))
            use.pieces.update(counted.pieces)
            use.merges.update(counted.merges)
            advance(len(batch))
    return use


def _trim_place(
    source: Path, place: str, folder: Path, use: PieceUse, keep: Keep, least_texts: int
) -> TrimmedTokenizer:
    """Writes tokenizer, weights and configuration of one place."""
    before, after = source / place, folder / place
    after.mkdir(parents=True, exist_ok=True)
    description = read_json(before / "tokenizer.json")
    config = read_json(before / "config.json") if (before / "config.json").is_file() else {}
    named = [value for key, value in config.items() if key.endswith("_token_id")]
    named = [number for value in named for number in (value if isinstance(value, list) else [value])]
    always = {number for number in named if isinstance(number, int)}
    found = trim_tokenizer(description, use, keep=keep, least_texts=least_texts, always=always)
    _write_tables(before, after, config, found)
    write_json(after / "tokenizer.json", found.description)
    if config:
        write_json(after / "config.json", _renumbered(config, found) | {"vocab_size": len(found.old_ids)})
    if (before / "tokenizer_config.json").is_file():
        write_json(after / "tokenizer_config.json", _renumbered(read_json(before / "tokenizer_config.json"), found))
    return found


def _write_tables(before: Path, after: Path, config: dict[str, Any], trimmed: TrimmedTokenizer) -> None:
    """Copies the weights with the rows that stay of every tensor that has one row per piece."""
    done = False
    for path in sorted(before.glob("*.safetensors")):
        header = read_header(path)
        tables = {
            name
            for name, tensor in header.items()
            if TABLE.search(name)
            and tensor["shape"]
            and tensor["shape"][0] == config.get("vocab_size", tensor["shape"][0])
        }
        if any(header[name]["shape"][0] <= int(trimmed.old_ids[-1]) for name in tables):
            raise ModelError(
                f"{path} has fewer rows than the tokenizer beside it has pieces",
                next_step="The two files are not of one model: save the model again, or copy its whole folder again.",
            )
        copy_rows(path, after / path.name, dict.fromkeys(tables, trimmed.old_ids))
        done = done or bool(tables)
    if not done:
        raise ModelError(
            f"No tensor in {before} is known as a table of pieces",
            next_step="Static models with 'embedding.weight' and transformers of the usual layouts are.",
        )


def _renumbered(values: dict[str, Any], trimmed: TrimmedTokenizer) -> dict[str, Any]:
    """A configuration with new ids."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if key.endswith("_token_id") and isinstance(value, (int, list)):
            found[key] = [trimmed.new_id(one) for one in value] if isinstance(value, list) else trimmed.new_id(value)
        elif key == "added_tokens_decoder":
            found[key] = {str(trimmed.new_id(int(old))): token for old, token in value.items()}
        else:
            found[key] = value
    return found


def _copy_rest(source: Path, folder: Path, places: Sequence[str]) -> None:
    """All other files, those of other tokenizers and of exports left behind."""
    done = {
        f"{place}/{name}" for place in places for name in ("tokenizer.json", "config.json", "tokenizer_config.json")
    }
    done = {name.removeprefix("./") for name in done}
    for path in sorted(source.rglob("*")):
        name = path.relative_to(source)
        left = any(part.match(pattern) for part in (name, *name.parents) for pattern in LEFT_BEHIND)
        weights = path.suffix == ".safetensors" and name.parent.as_posix() in places
        if path.is_dir() or left or weights or name.as_posix() in done or name.name.startswith("."):
            continue
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, folder / name)


def _prove(
    source: Path,
    folder: Path,
    original: Retriever,
    trimmed: dict[str, TrimmedTokenizer],
    corpus: Sequence[Text],
    check: Sequence[Text],
    *,
    strict: bool,
) -> TrimReport:
    outside = np.zeros(len(corpus), dtype=np.bool_)
    checked = np.zeros(len(check), dtype=np.bool_)
    for place, tokenizer in trimmed.items():
        pair = _whole_tokenizer(source / place), _whole_tokenizer(folder / place)
        outside |= _cut_differently(original, pair, tokenizer, corpus)
        checked |= _cut_differently(original, pair, tokenizer, check)
    faults = [
        Fault(str(text.id), f"is cut differently: {text.text[:60]!r}", str(text.language))
        for text, differs in zip(corpus, outside, strict=True)
        if differs
    ]
    if strict:
        raise_faults(ParityError, "The trimmed model", faults, CUT_OTHERWISE)
    inside = [text for text, differs in zip(corpus, outside, strict=True) if not differs]
    vectors, difference = _compare_vectors(original, Retriever.load(folder, on_overflow="ignore", device="cpu"), inside)
    if difference > MOST_DIFFERENCE:
        raise ParityError(
            f"The trimmed model gives vectors that differ by {difference:.2g} (allowed: {MOST_DIFFERENCE:g})",
            next_step=OTHER_VECTORS,
        )
    return TrimReport(
        places=tuple(
            Place(place, _whole_tokenizer(source / place).get_vocab_size(), len(found.old_ids))
            for place, found in trimmed.items()
        ),
        bytes_before=_bytes(source, trimmed),
        bytes_after=_bytes(folder, trimmed),
        languages=_by_language(corpus, outside, check, checked),
        vectors=vectors,
        largest_difference=difference,
    )


def _cut_differently(
    original: Retriever, pair: tuple[Tokenizer, Tokenizer], trimmed: TrimmedTokenizer, texts: Sequence[Text]
) -> NDArray[np.bool_]:
    """Of which texts the ids are no longer the same pieces."""
    found = []
    for batch in _batches(texts):
        for strings in _strings(original, batch):
            before, after = (tokenizer.encode_batch_fast(strings, add_special_tokens=True) for tokenizer in pair)
            found.append(
                any(old.ids != trimmed.old_ids[new.ids].tolist() for old, new in zip(before, after, strict=True))
            )
    return np.array(found, dtype=np.bool_)


def _compare_vectors(original: Retriever, trimmed: Retriever, texts: Sequence[Text]) -> tuple[int, float]:
    """How many vectors were compared, and the largest difference."""
    chosen = list(texts)
    if not isinstance(whole_engine(original.passage.engine), StaticEngine):
        seen: dict[str | None, list[Text]] = defaultdict(list)
        for text in texts:
            if len(seen[text.language]) < ENCODED_PER_LANGUAGE:
                seen[text.language].append(text)
        chosen = [text for some in seen.values() for text in some]
    count, difference = 0, 0.0
    for role in ROLES:
        for batch in _batches(chosen):
            one, other = (
                model.tower(role).engine.encode([model.tower(role).whole_text(text) for text in batch]).vectors
                for model in (original, trimmed)
            )
            count += len(one)
            difference = max(difference, float(np.abs(one - other).max(initial=0.0)))
    return count, difference


def _by_language(
    corpus: Sequence[Text], outside: NDArray[np.bool_], check: Sequence[Text], checked: NDArray[np.bool_]
) -> tuple[LanguageTexts, ...]:
    counts: dict[str, list[int]] = defaultdict(lambda: [0, 0, 0, 0])
    for first, texts, flags in ((0, corpus, outside), (2, check, checked)):
        for text, differs in zip(texts, flags.tolist(), strict=True):
            counts[str(text.language)][first] += 1
            counts[str(text.language)][first + 1] += differs
    return tuple(LanguageTexts(language, *numbers) for language, numbers in sorted(counts.items()))


def _note(folder: Path, report: TrimReport) -> None:
    """Notes in isogloss.json, if the folder has one, the fingerprints of what it is now, and that it was trimmed."""
    path = folder / "isogloss.json"
    if not path.is_file():
        return
    notes = read_json(path)
    now = Retriever.load(folder, on_overflow="ignore", device="cpu")
    found: dict[str, Fingerprint] = {role: now.tower(role).fingerprint for role in ROLES}
    notes["fingerprints"] = {
        role: {"digest": fingerprint.digest, "parts": dict(fingerprint.parts)} for role, fingerprint in found.items()
    }
    notes[TOKENIZER_DIGESTS] = static_tokenizer_digests(folder)
    notes["trimmed"] = {"languages": [row.language for row in report.languages if row.texts]}
    write_json(path, notes)


def _strings(original: Retriever, texts: Sequence[Text]) -> Iterator[list[str]]:
    """What each text is to the tokenizers: with the prompt of each role, title included."""
    for text in texts:
        strings = {tower.prompt + tower.whole_text(text) for tower in (original.query, original.passage)}
        yield sorted(strings)


def _whole_tokenizer(folder: Path) -> Tokenizer:
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _batches(texts: Sequence[Text]) -> Iterator[Sequence[Text]]:
    for start in range(0, len(texts), TEXTS_PER_BATCH):
        yield texts[start : start + TEXTS_PER_BATCH]


def _bytes(folder: Path, places: dict[str, TrimmedTokenizer]) -> int:
    files = (path for place in places for path in (folder / place).iterdir() if path.is_file())
    return sum(path.stat().st_size for path in files if path.suffix == ".safetensors" or path.name == "tokenizer.json")
