from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from mlpiht_cli.errors import InputError
from mlpiht_cli.tasks import datasets
from mlpiht_cli.tasks.datasets import DataFile, find, load, payload, sha256

CONTENT = b"the content of the file"
FILE = DataFile("folder", "name", "https://example.org/name.gz", "0" * 64, sha256(CONTENT), 100)


@pytest.fixture(autouse=True)
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("MLPIHT_DATA_DIR", str(tmp_path / "own"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.delenv("MLPIHT_OFFLINE", raising=False)
    (tmp_path / "own" / "folder").mkdir(parents=True)
    return tmp_path


@pytest.mark.parametrize("place", ["folder/name", "folder/name.gz", "name", "name.gz"])
def test_files_are_found_packed_or_not(folders: Path, place: str) -> None:
    path = folders / "own" / place
    path.write_bytes(gzip.compress(CONTENT) if place.endswith(".gz") else CONTENT)
    assert find(FILE) == path
    assert load(FILE) == (CONTENT, None)


def test_another_payload_is_reported(folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folders / "own" / "name").write_bytes(b"other")
    assert load(FILE) == (b"other", sha256(b"other"))
    assert FILE.payload_sha256 in caplog.text


@pytest.mark.parametrize("offline", [False, True])
def test_a_missing_file_is_named_with_place_and_checksum(
    folders: Path, monkeypatch: pytest.MonkeyPatch, offline: bool
) -> None:
    if offline:
        monkeypatch.setenv("MLPIHT_OFFLINE", "1")
    with pytest.raises(InputError) as caught:
        load(FILE)
    message = str(caught.value)
    for part in ("data file name", str(folders / "own" / "folder" / "name"), FILE.payload_sha256):
        assert part in message
    assert ("downloads are off" if offline else "https://example.org/name.gz") in message


@pytest.mark.parametrize("damage", ["truncated", "not gzip", "bomb"])
def test_damaged_containers_are_refused(folders: Path, damage: str) -> None:
    packed = gzip.compress(CONTENT * 10_000 if damage == "bomb" else CONTENT)
    path = folders / "own" / "name.gz"
    path.write_bytes({"truncated": packed[:-9], "not gzip": CONTENT, "bomb": packed}[damage])
    with pytest.raises(InputError, match="more than the 100 bytes" if damage == "bomb" else "cannot be read"):
        payload(path, FILE.limit)


def test_every_published_file_has_both_checksums() -> None:
    for files in datasets.FILES.values():
        for file in files:
            assert len(file.container_sha256) == len(file.payload_sha256) == 64
            assert file.url.startswith("https://")
