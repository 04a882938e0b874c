"""`import isogloss` and the search path of a static model need NumPy and `tokenizers` only.

1. Importing, loading a static retriever, encoding a query and reading a bank import neither torch nor its family.
2. They work where torch cannot be imported at all, and a model that needs it then names the extra.
"""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from isogloss import Retriever, Text
from tests.conftest import TINY_TEXTS

SCRIPT = """
import sys
blocked = sys.argv[3] == "blocked"
heavy = ("torch", "transformers", "sentence_transformers", "datasets", "pyarrow", "huggingface_hub")

class Block:
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in heavy:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

if blocked:
    sys.meta_path.insert(0, Block())
import isogloss
assert not any(name in sys.modules for name in ("numpy", *heavy)), "import isogloss is not light"
retriever = isogloss.Retriever.load(sys.argv[1])
bank = isogloss.Bank.open(sys.argv[2])
bank.require(retriever.passage.fingerprint)
scores = [block.astype("float32") @ retriever.encode_query(["Where does the river reach the sea?"])[0]
          for start, ids, block in bank.vectors()]
print(bank.ids[int(scores[0].argmax())], bank.text("p1").text)
assert not any(name in sys.modules for name in heavy), sorted(name for name in heavy if name in sys.modules)
if blocked:
    try:
        isogloss.Retriever.load(sys.argv[4])
    except isogloss.IsoglossError as error:
        assert "isogloss[train]" in str(error), error
    else:
        raise SystemExit("a transformer was loaded without torch")
"""


@pytest.mark.parametrize("mode", ["free", "blocked"])
def test_search_path_imports_no_torch(mode, tiny_static, tiny_transformer, tmp_path):
    texts = [Text(f"p{row}", text) for row, text in enumerate(TINY_TEXTS)]
    Retriever.load(tiny_static).encode_bank(texts, tmp_path / "bank", progress=False)
    command = [sys.executable, "-c", SCRIPT, str(tiny_static), str(tmp_path / "bank"), mode, str(tiny_transformer)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env={**os.environ, "PYTHONUTF8": "1"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=1) == ["p1", TINY_TEXTS[1] + "\n"]
