"""Reading says of every broken line where it is, and yields nothing beside a fault.

1. JSON lines come back with their line numbers; gz by suffix, a byte order mark and Windows line ends are no faults.
2. All broken lines are told at once, with file and line; after the first nothing is yielded.
3. A separator of Unicode inside a string ends no line.
4. A missing file, a folder, a pipe, a link to nothing, a wrong encoding, a damaged or misnamed gz: one typed error
   with a next step; of a pipe nothing is consumed.
"""

from __future__ import annotations

import gzip
import os

import pytest

from isogloss.errors import DataError, Fault, FileError
from isogloss.files import check_file, check_folder, open_text, read_json, read_jsonl, read_lines, write_jsonl


@pytest.mark.parametrize("name", ["a.jsonl", "a.jsonl.gz"])
def test_what_is_written_is_read(tmp_path, name):
    records = [{"_id": "1", "text": "Wo?"}, {"_id": "2", "text": "ที่ไหน \u2028 x\u0085"}]
    assert write_jsonl(tmp_path / name, iter(records)) == 2
    assert list(read_jsonl(tmp_path / name)) == [(1, records[0]), (2, records[1])]


def test_marks_blank_lines_and_windows_ends_are_no_faults(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(b'\xef\xbb\xbf{"a": 1}\r\n\r\n  \n{"a": 2}')
    assert list(read_jsonl(path)) == [(1, {"a": 1}), (4, {"a": 2})]
    assert list(read_lines(path)) == [(1, '{"a": 1}'), (4, '{"a": 2}')]
    with open_text(path) as stream:
        assert stream.read(4) == '{"a"'


BROKEN = b'{"a": 1}\n{"a": \n[1]\n{"a": "\xff"}\n{"a": "\\ud800"}\n{"a": 2}\n'


def test_all_broken_lines_are_told_at_once(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(BROKEN)
    seen = []
    with pytest.raises(DataError) as caught:
        seen.extend(line for line, _ in read_jsonl(path))
    assert [fault.where for fault in caught.value.faults] == [f"{path}:{line}" for line in (2, 3, 4, 5)]
    text = str(caught.value)
    assert "broken JSON" in text
    assert "no JSON object" in text
    assert "no UTF-8" in text
    assert "surrogate" in text


def test_nothing_is_yielded_after_the_first_fault(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(BROKEN)
    seen = []
    with pytest.raises(DataError):
        for line, _ in read_jsonl(path):
            seen.append(line)
    assert seen == [1]


def test_faults_can_be_gathered_over_files(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(BROKEN)
    faults: list[Fault] = []
    assert [line for line, _ in read_jsonl(path, faults=faults)] == [1, 6]
    assert len(faults) == 4


def test_deep_nesting_is_a_fault(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": ' + "[" * 100_000 + "\n")
    with pytest.raises(DataError, match="nested too deeply"):
        list(read_jsonl(path))


def test_a_missing_file_names_its_neighbour_and_how_far_the_path_exists(tmp_path):
    (tmp_path / "corpus.jsonl.gz").touch()
    with pytest.raises(FileError, match=r"did you mean 'corpus.jsonl.gz'"):
        list(read_jsonl(tmp_path / "corpus.jsonl"))
    with pytest.raises(FileError) as caught:
        list(read_jsonl(tmp_path / "no" / "where" / "x"))
    assert str(tmp_path) in caught.value.next_step


def test_a_folder_is_no_file_and_a_file_no_folder(tmp_path):
    with pytest.raises(FileError, match="it is a folder"):
        list(read_jsonl(tmp_path))
    (tmp_path / "x").touch()
    with pytest.raises(FileError, match="it is a file"):
        check_folder(tmp_path / "x")
    with pytest.raises(FileError):
        list(read_jsonl(tmp_path / "x" / "y"))


def test_what_passes_once_is_no_file_and_no_folder(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for read in (check_file, check_folder, read_json):
        with pytest.raises(FileError, match="it is a pipe") as caught:
            read(tmp_path / "pipe")
        assert "to a file first" in caught.value.next_step
    with pytest.raises(FileError, match="it is a device"):
        check_folder("/dev/null")


def test_a_link_that_leads_nowhere_is_told_as_one(tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "gone").symlink_to("nowhere")
    for name, said in (("loop", "a loop of links"), ("gone", f"a link to {tmp_path / 'nowhere'}")):
        for check in (check_file, check_folder):
            with pytest.raises(FileError, match=said) as caught:
                check(tmp_path / name)
            assert "did you mean" not in str(caught.value)


def test_utf16_is_named(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text('{"a": 1}', encoding="utf-16")
    with pytest.raises(DataError, match="UTF-16") as caught:
        list(read_jsonl(path))
    assert "iconv" in caught.value.next_step


def test_a_cut_off_gz_is_a_file_error(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    write_jsonl(path, ({"_id": str(number)} for number in range(1000)))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(FileError, match="damaged or cut off"):
        list(read_jsonl(path))


def test_a_damaged_gz_is_a_file_error(tmp_path):
    path = tmp_path / "a.jsonl.gz"
    write_jsonl(path, ({"_id": str(number)} for number in range(1000)))
    content = bytearray(path.read_bytes())
    content[40:60] = b"\xff" * 20
    path.write_bytes(content)
    with pytest.raises(FileError, match="damaged or cut off"):
        list(read_jsonl(path, faults=[]))


@pytest.mark.parametrize(("name", "content"), [("a.jsonl.gz", b"{}"), ("a.jsonl", gzip.compress(b"{}", mtime=0))])
def test_a_name_that_lies_about_compression_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(FileError, match="compressed"):
        list(read_jsonl(tmp_path / name))


@pytest.mark.parametrize("content", [b'{"a":\n 1', b"\xff", b""])
def test_broken_json_is_a_data_error_with_its_line(tmp_path, content):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(DataError) as caught:
        read_json(path)
    assert caught.value.faults[0].where.startswith(str(path))
