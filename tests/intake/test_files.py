"""Paths and globs: what is read, and how everything else is refused."""

from __future__ import annotations

import gzip
import os
from pathlib import Path

import pytest

from segmentor.errors import DataError
from segmentor.intake.files import find_files, refuse_changed


def _labels(folder: Path, *declared: str) -> list[str]:
    return [file.label for file in find_files(declared, folder, key="data.t.path")]


def test_glob_gives_its_files_by_name(tmp_path: Path) -> None:
    """A glob is expanded in the order of names, in deeper folders too, and leaves folders out."""
    for name in ("b/2.csv", "a/1.csv", "a/10.csv"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "a/folder.csv").mkdir()
    assert _labels(tmp_path, "*/*.csv") == ["a/1.csv", "a/10.csv", "b/2.csv"]
    assert _labels(tmp_path, "**/1.csv", "b/2.csv") == ["a/1.csv", "b/2.csv"]


def test_existing_file_with_brackets_is_no_glob(tmp_path: Path) -> None:
    """A name that looks like a glob is the file of that name if there is one."""
    (tmp_path / "sales[1].csv").write_text("x")
    (tmp_path / "sales1.csv").write_text("y")
    assert _labels(tmp_path, "sales[1].csv") == ["sales[1].csv"]


def test_absolute_paths_are_never_shown(tmp_path: Path) -> None:
    """Labels of absolute paths begin where the files' folders part."""
    for name in ("2023/part.csv", "2024/part.csv"):
        (tmp_path / name).parent.mkdir()
        (tmp_path / name).write_text(name)
    assert _labels(tmp_path / "elsewhere", str(tmp_path / "*/part.csv")) == ["2023/part.csv", "2024/part.csv"]
    assert _labels(tmp_path / "elsewhere", str(tmp_path / "2023/part.csv")) == ["part.csv"]
    with pytest.raises(DataError) as caught:
        find_files([str(tmp_path / "none.csv")], tmp_path, key="k")
    assert str(tmp_path) not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("empty.csv", b"", r"empty\.csv is empty \(0 bytes\)"),
        ("pack.zip", b"PK\x03\x04", r"pack\.zip is an archive; unpack it"),
        ("data.json", b"{}", r"data\.json has no known extension; \.csv"),
        ("renamed.csv", b"PK\x03\x04", r"renamed\.csv is an Excel workbook or zip archive, whatever its name says"),
        ("renamed.csv", b"PAR1....", r"renamed\.csv is Parquet"),
        ("renamed.csv", gzip.compress(b"a", mtime=0), r"renamed\.csv is gzip"),
        ("plain.csv.gz", b"a,b\n", r"plain\.csv\.gz is not gzip"),
        ("text.parquet", b"a,b\n1,2\n", r"text\.parquet is not Parquet"),
    ],
)
def test_unsuitable_content_is_refused(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    """Empty files, archives and files of another kind than their name says are refused with the mend."""
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=message):
        _labels(tmp_path, name)


def test_what_is_no_plain_file_is_refused(tmp_path: Path) -> None:
    """Missing files, globs without a match, folders, pipes, devices and circular links are refused without being opened."""
    os.mkfifo(tmp_path / "pipe.csv")
    (tmp_path / "folder.csv").mkdir()
    (tmp_path / "loop.csv").symlink_to(tmp_path / "loop.csv")
    (tmp_path / "zero.csv").symlink_to("/dev/zero")
    for declared, message in {
        "none.csv": r"data\.t\.path: there is no file none\.csv",
        "none*.csv": r"no file matches none\*\.csv",
        "folder.csv": r"folder\.csv is a folder; write folder/\*\.csv",
        "pipe.csv": "pipe.csv is not a plain file",
        "zero.csv": "zero.csv is not a plain file",
        "loop.csv": "loop.csv cannot be read: too many levels of symbolic links",
    }.items():
        with pytest.raises(DataError, match=message):
            _labels(tmp_path, declared)


def test_the_same_data_twice_are_refused(tmp_path: Path) -> None:
    """A file given under two names, or copied, would count every purchase twice."""
    (tmp_path / "a.csv").write_text("x,y\n")
    (tmp_path / "b.csv").write_text("x,z\n")
    (tmp_path / "copy.csv").write_text("x,y\n")
    assert _labels(tmp_path, "a.csv", "b.csv") == ["a.csv", "b.csv"]
    for second in ("copy.csv", "./a.csv"):
        with pytest.raises(DataError, match=r"a\.csv and (copy|a)\.csv hold the same data; keep one of the two"):
            _labels(tmp_path, "a.csv", second)


def test_text_and_parquet_do_not_mix(tmp_path: Path) -> None:
    """One table is of one kind of file."""
    (tmp_path / "a.csv").write_text("x")
    (tmp_path / "b.parquet").write_bytes(b"PAR1")
    with pytest.raises(DataError, match="text and Parquet files cannot be mixed"):
        _labels(tmp_path, "a.csv", "b.parquet")


def test_file_that_changes_while_it_is_read_is_refused(tmp_path: Path) -> None:
    """A file that grew, was touched or has gone since it was found is refused."""
    path = tmp_path / "a.csv"
    path.write_text("x")
    files = find_files(["a.csv"], tmp_path, key="k")
    refuse_changed(files)
    os.utime(path, ns=(0, 1))
    with pytest.raises(DataError, match=r"a\.csv: changed while it was being read"):
        refuse_changed(files)
    path.unlink()
    with pytest.raises(DataError, match="changed"):
        refuse_changed(files)
