"""Transformer encoding: passages of mixed languages, and one query at a time, beside sentence-transformers' backends.

    python -m benchmarks.encode_transformer --data SET [SET …] [--batches 7] [--models FOLDER]
    python -m benchmarks.encode_transformer --data SET [SET …] --models FOLDER --make

The model has the shape of multilingual MiniLM (12 layers x 384, FFN 1536, 250,037 pieces) and random weights, so
nothing here speaks of quality; it reads the pieces of the bundled model. It is made and exported once, in FOLDER, by
`--make` alone or by the first run.

The passages are batches of 32 that sentence-transformers itself would make of the whole data, evenly spaced over its
order by length, so that its padding is that of a large corpus. Our own sorting has fewer texts to work with than it
would have there; the padding of all passages, or of 20,000 of a corpus, is counted too. onnxruntime alone runs the
int8 graph that sentence-transformers exports, 32 texts at once, sorted by tokens, with nothing between. The backends
ONNX and OpenVINO of sentence-transformers need `optimum`, which wants transformers below 5: for these install isogloss
and `sentence-transformers[onnx,openvino]` in an environment of their own.
"""

from __future__ import annotations

import argparse
import functools
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from benchmarks.harness import Benchmark, Plan, Target, Variant, Work, main
from isogloss import Retriever
from isogloss.datasets import load, open_corpus
from isogloss.engines.batching import TOKENS_PER_BATCH, chunks_to_sort, token_budget_batches, usable_cores
from isogloss.engines.openvino_engine import NO_INT8, has_bfloat16
from isogloss.engines.processor import multiplies_int8
from isogloss.models.calibration import spread_over_languages
from isogloss.models.export import ExportPlan, export_retriever
from isogloss.records import Text

Encode = Callable[[Sequence[str]], NDArray[np.float32]]
Count = Callable[[Sequence[str]], list[int]]
BATCH = 32
CORPUS = 20_000
LENGTH = 512
SHAPE = {"hidden_size": 384, "num_hidden_layers": 12, "num_attention_heads": 12, "intermediate_size": 1536}
VOCABULARY = 250_037
CALIBRATION = 48
TORCH, TORCH16, ONNX8 = "isogloss, torch float32", "isogloss, torch bfloat16", "isogloss, ONNX int8"
OPENVINO, OPENVINO8 = "isogloss, OpenVINO", "isogloss, OpenVINO int8"
PEER = "sentence-transformers"
PEER_ONNX, PEER_ONNX8 = f"{PEER}, ONNX float32", f"{PEER}, ONNX int8"
RAW = "onnxruntime alone, int8"
PEER_OPENVINO, PEER_OPENVINO8 = f"{PEER}, OpenVINO", f"{PEER}, OpenVINO with our int8 file"


def main_plan(given: argparse.Namespace) -> Plan:
    """What is compared: every engine that this machine has, on passages and on queries."""
    passages, queries = read_texts(given.data)
    texts = evenly_spaced_batches(passages, given.batches)
    asked = [text.text for text in spread_over_languages(queries, given.queries)]
    makers, missing = variants(given.models, passages, queries)
    mixed = spaced(list(open_corpus(given.corpus))) if given.corpus else passages
    if given.make:
        print(f"Made in {given.models}. {all_padding(mixed, load_retriever_of(makers))}")
        raise SystemExit(0)
    fastest = OPENVINO8 if multiplies_int8() else ONNX8
    plan = []
    for name, make in makers.items():
        ours = name.startswith("isogloss")
        prepare = functools.partial(_passages, make, texts)
        plan.append(Variant("passages", name, prepare, ours=ours, memory=given.memory))
        plan.append(Variant("single queries", name, functools.partial(_queries, make, asked), ours=ours))
    targets = [
        Target("passages", fastest, PEER, 8.5),
        *(Target("passages", OPENVINO, name) for name in (PEER, PEER_OPENVINO) if fastest != OPENVINO),
        *(Target("passages", fastest, name, 2.0) for name in (PEER_ONNX8, PEER_OPENVINO, PEER_OPENVINO8)),
        Target("passages", fastest, RAW),
        Target("single queries", ONNX8, PEER_ONNX8, 2.2),
        *(Target("single queries", ONNX8, name) for name in (PEER, RAW)),
    ]
    known = {*makers, *missing}
    return Plan(
        plan,
        [target for target in targets if {target.ours, target.peer} <= known],
        {} if given.alone else about(makers, texts, asked, passages, mixed),
        missing,
    )


def read_texts(places: Sequence[str]) -> tuple[list[Text], list[Text]]:
    """At most 20,000 passages and all queries of the sets."""
    sets = [load(place) for place in places]
    passages = [text for one in sets for text in one.passages]
    return spaced(passages), [text for one in sets for text in one.queries]


def spaced(texts: list[Text]) -> list[Text]:
    """At most 20,000 of the texts, evenly spaced."""
    return texts[:: max(1, -(-len(texts) // CORPUS))]


def evenly_spaced_batches(passages: Sequence[Text], batches: int) -> list[str]:
    """Texts of some batches that sentence-transformers makes: sorted by characters, the longest first."""
    ordered = sorted((text.text for text in passages), key=len, reverse=True)
    whole = len(ordered) // BATCH
    chosen = ((np.arange(batches) + 0.5) * whole / batches).astype(int).tolist()
    return [text for number in chosen for text in ordered[number * BATCH : (number + 1) * BATCH]]


def variants(
    models: Path, passages: Sequence[Text], queries: Sequence[Text]
) -> tuple[dict[str, Callable[[], Encode]], dict[str, str]]:
    """How each way is loaded, by name, and those that cannot run here with the reason."""
    base = made(models / "torch", lambda folder: make_model(folder))
    missing: dict[str, str] = {}
    samples = {
        "query": spread_over_languages(queries, CALIBRATION // 2),
        "passage": spread_over_languages(passages, CALIBRATION // 2),
    }

    def export(name: str, plan: ExportPlan) -> Path:
        return made(models / name, lambda folder: export_retriever(load_retriever(base, "torch"), folder, keep, plan))

    onnx8 = export("onnx-int8", ExportPlan("onnx", int8=True))
    openvino = export("openvino", ExportPlan("openvino"))
    found = {
        TORCH: lambda: ours(base, "torch"),
        ONNX8: lambda: ours(onnx8, "onnx"),
        OPENVINO: lambda: ours(openvino, "openvino"),
        PEER: lambda: sentence_transformers(base, "torch"),
    }
    if has_bfloat16():
        found[TORCH16] = lambda: ours(base, "torch", "bfloat16")
    else:
        missing[TORCH16] = "this processor has no bfloat16"
    openvino8 = None
    if multiplies_int8():
        openvino8 = export("openvino-int8", ExportPlan("openvino", int8=True, samples=samples))
        found[OPENVINO8] = lambda: ours(openvino8, "openvino")
    else:
        missing[OPENVINO8] = missing[PEER_OPENVINO8] = NO_INT8
    return found | peers(models, base, openvino8, missing), missing


def peers(models: Path, base: Path, openvino8: Path | None, missing: dict[str, str]) -> dict[str, Callable[[], Encode]]:
    """The other backends of sentence-transformers, where `optimum` is installed."""
    try:
        import optimum.intel
        import optimum.onnxruntime  # noqa: F401
    except ImportError as absent:
        why = f"optimum is not installed beside transformers ({absent})"
        missing.update(dict.fromkeys((PEER_ONNX, PEER_ONNX8, RAW, PEER_OPENVINO, PEER_OPENVINO8), why))
        return {}
    onnx = made(models / "peer-onnx", lambda folder: make_peer_onnx(base, folder))
    openvino = made(models / "peer-openvino", lambda folder: make_peer(base, folder, "openvino"))
    found = {
        PEER_ONNX: lambda: sentence_transformers(onnx, "onnx", file_name="onnx/model.onnx"),
        PEER_ONNX8: lambda: sentence_transformers(onnx, "onnx", file_name=int8_file(onnx)),
        RAW: lambda: onnxruntime_alone(onnx, int8_file(onnx)),
        PEER_OPENVINO: lambda: sentence_transformers(openvino, "openvino"),
    }
    if openvino8 is not None:
        found[PEER_OPENVINO8] = lambda: sentence_transformers(openvino8, "openvino")
    return found


def make_model(folder: Path) -> None:
    """Writes the model with random weights, as a sentence-transformers folder."""
    import torch
    from sentence_transformers import SentenceTransformer
    from tokenizers import Tokenizer, processors
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    from isogloss.engines.sentence_transformers_modules import Pooling, Transformer

    tokenizer = Tokenizer.from_str(Retriever.load("bundled").passage.engine.tokenizer.to_str())
    tokenizer.add_special_tokens(["<s>", "</s>", "<pad>"])
    ends = [(token, tokenizer.token_to_id(token)) for token in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> $B </s>", special_tokens=ends
    )
    names = {"cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": tokenizer.id_to_token(0)}
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=LENGTH,
        model_input_names=["input_ids", "attention_mask"],
        **names,
    )
    torch.manual_seed(0)
    padding = tokenizer.token_to_id("<pad>")
    config = BertConfig(vocab_size=VOCABULARY, max_position_embeddings=LENGTH, pad_token_id=padding, **SHAPE)
    with tempfile.TemporaryDirectory() as checkpoint:
        BertModel(config).save_pretrained(checkpoint)
        fast.save_pretrained(checkpoint)
        modules = [Transformer(checkpoint), Pooling(SHAPE["hidden_size"], "mean")]
        SentenceTransformer(modules=modules, device="cpu").save(str(folder), create_model_card=False)


def make_peer(base: Path, folder: Path, backend: Literal["onnx", "openvino"]) -> None:
    """Has sentence-transformers write its own export, with the configuration of the backbone, which it leaves out."""
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(base), backend=backend, device="cpu", model_kwargs={"export": True})
    model.save_pretrained(str(folder))
    shutil.copy2(base / "config.json", folder)


def make_peer_onnx(base: Path, folder: Path) -> None:
    """The export of sentence-transformers, and its int8 for this processor beside it."""
    from sentence_transformers import SentenceTransformer, export_dynamic_quantized_onnx_model

    make_peer(base, folder, "onnx")
    model = SentenceTransformer(
        str(folder), backend="onnx", device="cpu", model_kwargs={"file_name": "onnx/model.onnx", "export": False}
    )
    export_dynamic_quantized_onnx_model(model, peer_kind(), str(folder))


def int8_file(folder: Path) -> str:
    """Name of the int8 graph, which is quint8 for some processors."""
    return next((folder / "onnx").glob("model_*int8*.onnx")).relative_to(folder).as_posix()


def made(folder: Path, make: Callable[[Path], Any]) -> Path:
    """The folder, made if it is not there; a making that fails leaves nothing."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent) as parent:
            make(Path(parent) / folder.name)
            (Path(parent) / folder.name).rename(folder)
    return folder


def keep(exported: Retriever) -> dict[str, str]:
    """A gate that lets everything pass: of random weights no score can be asked."""
    return {"gate": "none: random weights"}


@functools.cache
def load_retriever(folder: Path, engine: Any, precision: Any = None) -> Retriever:
    """A model of ours, loaded once."""
    return Retriever.load(folder, engine=engine, precision=precision, on_overflow="ignore", device="cpu")


def ours(folder: Path, engine: str, precision: str | None = None) -> Encode:
    """Encodes with isogloss."""
    return load_retriever(folder, engine, precision).encode_passage


@functools.cache
def sentence_transformers(folder: Path, backend: Any, file_name: str = "") -> Encode:
    """Encodes with sentence-transformers at its defaults, held to the threads of the run."""
    from sentence_transformers import SentenceTransformer

    options: dict[str, Any] = {"file_name": file_name} if file_name else {}
    if backend != "torch":
        options["export"] = False
    if backend == "onnx":
        from onnxruntime import SessionOptions

        options["session_options"] = SessionOptions()
        options["session_options"].intra_op_num_threads = usable_cores()
        options["provider"] = "CPUExecutionProvider"
    if backend == "openvino":
        options["ov_config"] = {"INFERENCE_NUM_THREADS": usable_cores(), "PERFORMANCE_HINT": "LATENCY"}
    model = SentenceTransformer(str(folder), backend=backend, device="cpu", model_kwargs=options)
    return functools.partial(model.encode, normalize_embeddings=True, show_progress_bar=False)


@functools.cache
def onnxruntime_alone(folder: Path, file_name: str) -> Encode:
    """Encodes with an `InferenceSession`, as one would by hand: sorted by tokens, means of tokens, unit length."""
    from onnxruntime import InferenceSession, SessionOptions
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(LENGTH)
    options = SessionOptions()
    options.intra_op_num_threads = usable_cores()
    session = InferenceSession(str(folder / file_name), options, providers=["CPUExecutionProvider"])
    wanted = {given.name for given in session.get_inputs()}

    def of_batch(rows: Sequence[Sequence[int]]) -> NDArray[np.float32]:
        ids = np.zeros((len(rows), max(map(len, rows))), dtype=np.int64)
        mask = np.zeros_like(ids)
        for row, tokens in enumerate(rows):
            ids[row, : len(tokens)], mask[row, : len(tokens)] = tokens, 1
        feeds = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        hidden = session.run(None, {name: value for name, value in feeds.items() if name in wanted})[0]
        sums = np.einsum("rtd,rt->rd", hidden, mask.astype(np.float32))
        return sums / np.linalg.norm(sums, axis=1, keepdims=True)

    def encode(texts: Sequence[str]) -> NDArray[np.float32]:
        tokens = [found.ids for found in tokenizer.encode_batch(list(texts))]
        order = sorted(range(len(tokens)), key=lambda row: len(tokens[row]), reverse=True)
        vectors = np.empty((len(tokens), SHAPE["hidden_size"]), dtype=np.float32)
        for start in range(0, len(order), BATCH):
            rows = order[start : start + BATCH]
            vectors[rows] = of_batch([tokens[row] for row in rows])
        return vectors

    return encode


def peer_kind() -> Literal["avx2", "avx512_vnni"]:
    """Which int8 sentence-transformers recommends for this processor."""
    return "avx512_vnni" if multiplies_int8() else "avx2"


def _passages(make: Callable[[], Encode], texts: Sequence[str]) -> Work:
    encode = make()
    encode(texts[-2:])

    def work() -> int:
        encode(texts)
        return len(texts)

    return work


def _queries(make: Callable[[], Encode], texts: Sequence[str]) -> Work:
    encode = make()
    for text in texts:
        encode([text])

    def work() -> int:
        for text in texts:
            encode([text])
        return len(texts)

    return work


def about(
    makers: dict[str, Callable[[], Encode]],
    texts: list[str],
    queries: list[str],
    passages: list[Text],
    mixed: list[Text],
) -> dict[str, Any]:
    """Sizes, padding by exact count, and how near all vectors are to those of sentence-transformers in float32."""
    count = load_retriever_of(makers)
    counts = count(texts)
    sample = [*queries[:8], *texts[:: max(1, len(texts) // 8)]]
    expected = makers[PEER]()(sample)
    cosines = {name: float((make()(sample) * expected).sum(axis=1).min()) for name, make in makers.items()}
    return {
        "passages": len(texts),
        "tokens": sum(counts),
        "queries": len(queries),
        "languages": len({text.language for text in passages}),
        "padded tokens per token": padding(texts, count),
        "the same of all passages": all_padding(mixed, count),
        "least cosine to float32": {name: round(cosine, 5) for name, cosine in cosines.items()},
        "precision": "OpenVINO: " + ("bfloat16" if has_bfloat16() else "float32, there being no bfloat16"),
    }


def padding(texts: Sequence[str], count: Count) -> dict[str, float]:
    """Padded tokens for each token, in our batches and in those of sentence-transformers, which sorts by characters."""
    ours = 0
    for chunk in chunks_to_sort(texts):
        counts = count(chunk)
        ours += sum(len(rows) * counts[rows[0]] for rows in token_budget_batches(counts, TOKENS_PER_BATCH))
    counts = count(sorted(texts, key=len, reverse=True))
    batches = [counts[start : start + BATCH] for start in range(0, len(counts), BATCH)]
    theirs = sum(len(batch) * max(batch) for batch in batches)
    return {"isogloss": round(ours / sum(counts), 3), PEER: round(theirs / sum(counts), 3)}


def all_padding(passages: Sequence[Text], count: Count) -> str:
    """The padding of a large corpus of mixed languages in words; its order has no pattern."""
    order = np.random.default_rng(13).permutation(len(passages)).tolist()
    found = padding([passages[place].text for place in order], count)
    return f"{len(passages):,} mixed passages, padded tokens per token: {found}"


def load_retriever_of(makers: dict[str, Callable[[], Encode]]) -> Callable[[Sequence[str]], list[int]]:
    """Counts tokens as the models do."""
    engine = makers[ONNX8]().__self__.passage.engine
    return lambda texts: [min(count, LENGTH) for count in engine.count_tokens(texts)]


def arguments(parser: argparse.ArgumentParser) -> None:
    """The arguments of this benchmark."""
    parser.add_argument(
        "--data", nargs="+", required=True, help="evaluation sets, whose passages and queries are taken"
    )
    parser.add_argument("--batches", type=int, default=7, help="batches of 32 passages")
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--corpus", help="texts whose padding is counted, as `isogloss encode` reads them")
    parser.add_argument("--make", action="store_true", help="make the model and its exports, measure nothing")
    parser.add_argument("--memory", action="store_true", help="measure peak memory too, one process for each")
    default = Path(tempfile.gettempdir()) / "isogloss-benchmark-m12"
    parser.add_argument(
        "--models", type=Path, default=default, help="where the model and its exports are made and kept"
    )


BENCHMARK = Benchmark(
    "encode_transformer",
    "Encoding with a transformer of 12 layers",
    "texts",
    main_plan,
    arguments,
    ("isogloss", "torch", "transformers", "sentence-transformers", "onnxruntime", "openvino", "nncf", "optimum"),
    notes=(
        "Random weights, 12 layers x 384, 250,037 pieces; passages in batches that sentence-transformers' own order "
        "gives, evenly spaced over the data.",
        "The 224 passages leave our sorting little to work with. Of 20,000 texts, evenly spaced over a million real "
        "ones of some 220 languages, ours computes 1.006 tokens for each token of a text, and sentence-transformers, "
        "which sorts by characters, 2.026 (`--make --corpus CORPUS` counts them).",
        "int8 pays where the processor multiplies int8 numbers (VNNI, AMX). On one without, OpenVINO's int8 is "
        "refused, for it gives wrong vectors there, and onnxruntime's was about 1.4 times as fast as its float32.",
        "With VNNI (Zen 4, one core) OpenVINO's int8 products run at 217 thousand million operations a second of all "
        "time, 56 % of the 384 that such a product reaches alone. 8.5 times sentence-transformers' default would need "
        "73 %, with attention, normalisation and activations, which are not in int8, nearly free. The bound is of a "
        "Zen 5, whose int8 product was 9.4 times as fast as the float32 product of sentence-transformers' default "
        "(1,038 and 110 thousand million operations a second); here it is 4.8 times as fast (420 and 88).",
        "With AMX bfloat16 is as fast as int8, in OpenVINO and in torch, for what is left is not in the products; "
        "sentence-transformers' default is float32 there too, which AMX does not compute.",
        "Of a single query (17 tokens on average) nine tenths of our time are the graph. With VNNI its int8 products "
        "take 3 ms; some hundred nodes that compute the shapes of tensors took 1.3 ms and the fused sum and "
        "normalisation of onnxruntime 0.5 ms before the export wrote shapes down and that fusion was left out. What "
        "is left are activations, softmax and transpositions on small arrays. One product for queries, keys and values "
        "was tried and took as long. On AVX2 the products alone take 59 % of our time. On Zen 4 the 72 products of a "
        "query take 5.0 ms of CPU by onnxruntime alone, 144 thousand million operations a second for 17 rows (287 for "
        "64), of 6.8 ms in all; 2.2 times sentence-transformers would be 3.9.",
    ),
)


if __name__ == "__main__":
    main(BENCHMARK)
