from __future__ import annotations

import gzip
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from mlpiht_cli.errors import InputError
from mlpiht_cli.tasks import datasets
from mlpiht_cli.tasks.datasets import DataFile, download, find, load, payload, sha256, unofficial

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
    assert load(FILE) == (CONTENT, {})
    assert unofficial([FILE]) == {}


def test_another_payload_is_reported(folders: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folders / "own" / "name").write_bytes(b"other")
    assert load(FILE) == (b"other", {"unofficial_name": sha256(b"other")})
    assert unofficial([FILE]) == {"name": sha256(b"other")}
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
    with pytest.raises(InputError, match="more than 100 bytes" if damage == "bomb" else "cannot be read"):
        payload(path, FILE.limit)


def test_every_published_file_has_both_checksums() -> None:
    for files in datasets.FILES.values():
        for file in files:
            assert len(file.container_sha256) == len(file.payload_sha256) == 64
            assert file.url.startswith("https://")


PACKED = replace(FILE, url="https://example.org/all.tar.gz", member="folder/name")


def tar_of(path: Path, *members: tuple[str, bytes | None]) -> Path:
    """A tar archive; a member without content is a link to /etc/hostname."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w:gz") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content or b"")
            if content is None:
                info.type, info.linkname = tarfile.SYMTYPE, "/etc/hostname"
            archive.addfile(info, io.BytesIO(content or b""))
    return path


@pytest.fixture
def fetched(folders: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a download would put the archive; the download itself is left out."""
    import pooch

    path = folders / "cache" / "mlpiht" / "folder" / "all.tar.gz"

    def retrieve(url: str, **settings: object) -> str:
        assert (url, settings["fname"], settings["path"]) == (PACKED.url, path.name, path.parent)
        return str(path)

    monkeypatch.setattr(pooch, "retrieve", retrieve)
    return path


def test_the_wanted_member_of_an_archive_is_written_and_nothing_else(folders: Path, fetched: Path) -> None:
    tar_of(fetched, ("folder/name2", b"no"), ("../../evil", b"no"), ("folder/name", CONTENT), ("folder/z", b"no"))
    assert download(PACKED) == fetched.with_name("name")
    assert load(PACKED) == (CONTENT, {})
    assert sorted(str(path.relative_to(folders)) for path in folders.rglob("*") if path.is_file()) == [
        "cache/mlpiht/folder/all.tar.gz",
        "cache/mlpiht/folder/name",
    ]


@pytest.mark.parametrize(
    ("member", "message"),
    [
        (("folder/other", CONTENT), "no file folder/name in it"),
        (("./../folder/name", CONTENT), "no file folder/name in it"),
        (("folder/name", None), "no file folder/name in it"),
        (("folder/name", bytes(101)), "more than 100 bytes"),
    ],
)
def test_archives_without_the_file_are_refused(fetched: Path, member: tuple[str, bytes | None], message: str) -> None:
    tar_of(fetched, member)
    with pytest.raises(InputError, match=message):
        download(PACKED)
    assert not fetched.with_name("name").exists()


@pytest.mark.parametrize("damage", ["truncated", "not gzip", "not tar"])
def test_damaged_archives_are_refused(fetched: Path, damage: str) -> None:
    packed = tar_of(fetched, ("folder/name", CONTENT)).read_bytes()
    fetched.write_bytes({"truncated": packed[:-30], "not gzip": CONTENT, "not tar": gzip.compress(CONTENT)}[damage])
    with pytest.raises(InputError, match="cannot be read"):
        download(PACKED)


def test_a_missing_member_is_said_to_be_in_its_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLPIHT_OFFLINE", "1")
    with pytest.raises(InputError, match=r"folder/name of https://example.org/all.tar.gz"):
        load(PACKED)
