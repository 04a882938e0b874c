"""The program ends with a message and never with a traceback, also where no verb has begun or none can tell.

1. An interrupt during the imports is 130 and one line.
2. A current folder that was deleted, and a standard output that is full, are told; the exit code is 1.
3. The console script enters where this is seen to.
"""

from __future__ import annotations

import importlib
import subprocess
import sys
from pathlib import Path

import pytest

from isogloss import __main__ as entry

FULL = Path("/dev/full")


def program(*arguments: str, **options: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from isogloss.__main__ import main; main()", *arguments]
    return subprocess.run(command, text=True, stderr=subprocess.PIPE, check=False, **options)  # type: ignore[call-overload,no-any-return]


def test_an_interrupt_during_the_imports_is_no_traceback(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    """As Ctrl-C in the first tenths of a second."""

    class Interrupting:
        def find_spec(self, name: str, *_: object) -> None:
            if name == "isogloss.cli.main":
                raise KeyboardInterrupt

    monkeypatch.delitem(sys.modules, "isogloss.cli.main", raising=False)
    monkeypatch.setattr(sys, "meta_path", [Interrupting(), *sys.meta_path])
    with pytest.raises(SystemExit) as stopped:
        entry.main()
    assert stopped.value.code == 130
    assert capsys.readouterr().err == "\nStopped.\n"


def test_a_deleted_folder_is_told(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    code = f"import os; os.chdir({str(gone)!r}); os.rmdir({str(gone)!r}); from isogloss.__main__ import main; main()"
    command = [sys.executable, "-c", code, "data", "check", "corpus.jsonl"]
    ended = subprocess.run(command, text=True, capture_output=True, check=False)
    assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
    assert "The current folder does not exist any more" in ended.stderr


@pytest.mark.skipif(not FULL.exists(), reason="no /dev/full here")
def test_a_full_standard_output_is_told() -> None:
    for arguments in (("data", "list", "--json"), ("data", "list")):
        with FULL.open("w") as full:
            ended = program(*arguments, stdout=full)
        assert ended.returncode == 1
        assert "no space left" in ended.stderr
        assert "Traceback" not in ended.stderr and "Exception ignored" not in ended.stderr


def test_the_console_script_enters_here() -> None:
    script = (Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8")
    line = next(line for line in script.splitlines() if line.startswith("isogloss = "))
    module, _, function = line.split('"')[1].partition(":")
    assert getattr(importlib.import_module(module), function) is entry.main
