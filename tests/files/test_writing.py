"""A write is whole or nothing, and what was there before is never lost.

1. An exception in the middle leaves the old content and no litter, for files and folders.
2. A full disk and a forbidden place are `FileError`s with a next step.
3. A folder with content is refused unless it may be replaced; if the swap fails the old one is put back.
4. Equal content gives equal bytes, compressed too; whoever may read the user's new files may read all of a folder.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from isogloss.errors import DataError, FileError
from isogloss.files import atomic_folder, atomic_path, read_json, write_json, write_jsonl, write_text


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir())


def test_a_failed_write_leaves_the_old_file_and_no_litter(tmp_path):
    path = tmp_path / "a.jsonl"
    write_text(path, "old")

    def records():
        yield {"a": 1}
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        write_jsonl(path, records())
    assert path.read_text() == "old"
    assert names(tmp_path) == ["a.jsonl"]


def test_a_full_disk_is_a_file_error_and_loses_nothing(tmp_path, monkeypatch):
    path = tmp_path / "a.json"
    write_json(path, {"old": 1})

    def full(descriptor):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(FileError, match="no space left") as caught:
        write_json(path, {"new": 2})
    assert "df -h" in caught.value.next_step
    assert str(path) in str(caught.value)
    assert read_json(path) == {"old": 1}
    assert names(tmp_path) == ["a.json"]


def test_a_full_disk_while_a_folder_is_filled_loses_nothing(tmp_path):
    target = tmp_path / "bank"
    with atomic_folder(target) as folder:
        (folder / "vectors.npy").write_bytes(b"old")
    with pytest.raises(FileError, match="no space left"), atomic_folder(target, overwrite=True) as folder:
        (folder / "vectors.npy").write_bytes(b"new")
        raise OSError(errno.ENOSPC, "No space left on device")
    assert (target / "vectors.npy").read_bytes() == b"old"
    assert names(tmp_path) == ["bank"]


def test_a_real_full_device_is_a_file_error(tmp_path):
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with pytest.raises(FileError, match="no space left"), atomic_path(tmp_path / "a") as partial:
        partial.touch()
        with full.open("w") as stream:
            stream.write("x")
    assert names(tmp_path) == []


def test_the_name_to_write_to_keeps_its_endings(tmp_path):
    with atomic_path(tmp_path / "new" / "a.jsonl.gz") as partial:
        assert partial.name.endswith("a.jsonl.gz")
        assert partial.parent == tmp_path / "new"
        partial.write_bytes(b"x")
    assert names(tmp_path / "new") == ["a.jsonl.gz"]


def test_writing_nothing_is_a_file_error(tmp_path):
    with pytest.raises(FileError), atomic_path(tmp_path / "a"):
        pass


def test_an_existing_file_is_refused_on_request(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(FileError, match="exists already"):
        write_text(tmp_path / "a", "new", overwrite=False)
    with pytest.raises(FileError, match="is a folder"):
        write_text(tmp_path, "new")
    assert (tmp_path / "a").read_text() == "old"


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "real").write_text("old")
    (tmp_path / "link").symlink_to(tmp_path / "real")
    write_text(tmp_path / "link", "new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real").read_text() == "new"


def test_a_path_through_a_file_is_a_file_error(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(FileError) as caught:
        write_text(tmp_path / "file" / "x", "text")
    assert caught.value.next_step


def test_a_filled_folder_is_refused_before_any_work(tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("old")
    worked = False
    with pytest.raises(FileError, match="not empty"), atomic_folder(tmp_path / "out"):
        worked = True
    assert not worked
    assert names(tmp_path / "out") == ["mine"]


def test_others_may_read_what_the_user_lets_them_read(tmp_path):
    before = os.umask(0o027)
    try:
        with atomic_folder(tmp_path / "out") as folder:
            save_file({"a": np.zeros(1)}, folder / "weights.safetensors")
            (folder / "notes.json").write_text("{}")
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "out").iterdir()}
    assert modes == {"weights.safetensors": 0o640, "notes.json": 0o640}


def test_an_empty_folder_counts_as_nothing(tmp_path):
    (tmp_path / "out").mkdir()
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "a").touch()
    assert names(tmp_path / "out") == ["a"]
    assert names(tmp_path) == ["out"]


def test_a_file_is_no_place_for_a_folder(tmp_path):
    (tmp_path / "out").touch()
    with pytest.raises(FileError, match="it is a file"), atomic_folder(tmp_path / "out", overwrite=True):
        pass


def test_replacing_a_folder_swaps_it_as_a_whole(tmp_path):
    for content in ("old", "new"):
        with atomic_folder(tmp_path / "out", overwrite=True) as folder:
            (folder / content).touch()
    assert names(tmp_path / "out") == ["new"]
    assert names(tmp_path) == ["out"]


def test_a_failed_swap_puts_the_old_folder_back(tmp_path, monkeypatch):
    with atomic_folder(tmp_path / "out") as folder:
        (folder / "old").touch()
    rename = Path.rename

    def failing(self, target):
        if self.name.startswith(".partial-"):
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(FileError), atomic_folder(tmp_path / "out", overwrite=True) as folder:
        (folder / "new").touch()
    assert names(tmp_path / "out") == ["old"]
    assert names(tmp_path) == ["out"]


def test_equal_content_gives_equal_bytes(tmp_path):
    for name in ("a.jsonl.gz", "b.jsonl.gz"):
        write_jsonl(tmp_path / name, [{"a": "ü"}])
    assert (tmp_path / "a.jsonl.gz").read_bytes() == (tmp_path / "b.jsonl.gz").read_bytes()


def test_half_a_surrogate_pair_is_a_data_error(tmp_path):
    write_text(tmp_path / "a", "old")
    with pytest.raises(DataError, match="surrogate"):
        write_text(tmp_path / "a", "x\ud800")
    with pytest.raises(DataError, match="surrogate"):
        write_jsonl(tmp_path / "a", [{"a": "\ud800"}])
    assert (tmp_path / "a").read_text() == "old"
    assert names(tmp_path) == ["a"]
