"""A write is whole or nothing, and what was there before is never lost.

1. An exception in the middle leaves the old content and no litter, for files and folders.
2. A full disk and a forbidden place are `FileError`s with a next step.
3. A folder with content is refused unless it may be replaced; if the swap fails the old one is put back.
   Nothing takes the place of the current folder, of files that are none of its kind, or of what a command reads.
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
from isogloss.files import (
    FolderKind,
    atomic_folder,
    atomic_path,
    file_errors,
    read_json,
    refuse_occupied,
    refuse_unmakeable,
    write_json,
    write_jsonl,
    write_text,
)


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


KIND = FolderKind("a report", "report.json", ("runs/*.trec",))


def test_files_of_others_stay_wherever_they_lie(tmp_path):
    for name in ("report.json", "runs/a.trec"):
        write_text(tmp_path / "out" / name, "own")
    refuse_occupied(tmp_path / "out", overwrite=True, kind=KIND)
    write_text(tmp_path / "out" / "runs" / "thesis.txt", "three years of work")
    with pytest.raises(FileError, match=r"beside a report it holds runs/thesis\.txt"):
        refuse_occupied(tmp_path / "out", overwrite=True, kind=KIND)


@pytest.mark.parametrize("filled", [True, False])
@pytest.mark.parametrize("path", ["", ".", "../here"])
def test_nothing_takes_the_place_of_the_current_folder(tmp_path, monkeypatch, path, filled):
    (tmp_path / "here").mkdir()
    if filled:
        (tmp_path / "here" / "mine").write_text("old")
    monkeypatch.chdir(tmp_path / "here")
    with pytest.raises(FileError, match="empty" if not path else "current folder"):
        refuse_occupied(path, overwrite=True)
    with pytest.raises(FileError), atomic_folder(path, overwrite=True):
        pass
    assert names(tmp_path / "here") == ["mine"] * filled


def test_what_is_read_stays(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_text(tmp_path / "run" / "model" / "modules.json", "[]")
    Path("link").symlink_to("run/model")
    for inputs in (["run"], ["bundled", tmp_path / "run" / "model"], ["link"]):
        with pytest.raises(FileError, match="which this command reads"):
            refuse_occupied("run", overwrite=True, inputs=inputs)
    refuse_occupied("run", overwrite=True, inputs=["bundled", "", "other/run"])


def test_a_folder_that_cannot_be_made_is_told_before_any_work(tmp_path, monkeypatch):
    write_text(tmp_path / "plain.txt", "text")
    with pytest.raises(FileError, match=r"plain\.txt is a file, not a folder"):
        refuse_occupied(tmp_path / "plain.txt" / "x")
    refuse_unmakeable(tmp_path / "new" / "deep")
    assert names(tmp_path) == ["plain.txt"]
    for number, step in ((errno.EACCES, f"ls -ld '{tmp_path}'"), (errno.ENOENT, "another place")):

        def refused(self, *_, number=number, **__):
            raise OSError(number, os.strerror(number), str(self))

        monkeypatch.setattr(Path, "mkdir", refused)
        with pytest.raises(FileError) as caught:
            refuse_occupied(tmp_path / "new" / "deep")
        assert step in caught.value.next_step
        assert str(tmp_path / "new" / "deep") in caught.value.message
        assert ".partial-" not in str(caught.value)


def test_an_array_that_the_disk_takes_in_part_is_no_damaged_archive(tmp_path):
    resource = pytest.importorskip("resource")
    import signal

    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    former = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(FileError, match="no space left") as caught, atomic_path(tmp_path / "a.npy") as partial:
            np.save(partial, np.zeros(100_000))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        signal.signal(signal.SIGXFSZ, former)
    assert f"df -h '{tmp_path}'" in caught.value.next_step
    assert names(tmp_path) == []


def test_faults_without_a_number_are_told_as_they_are(tmp_path):
    with pytest.raises(FileError, match="is cut off") as caught, file_errors(tmp_path / "a.npy", "read"):
        raise EOFError("No data left in file")
    assert "gzip" not in str(caught.value)
    with pytest.raises(FileError, match="a word of the library"), file_errors(tmp_path / "a", "read"):
        raise OSError("a word of the library")
    (tmp_path / "a.gz").write_bytes(b"\x1f\x8b")
    with pytest.raises(FileError, match="compressed data"):
        read_json(tmp_path / "a.gz")
