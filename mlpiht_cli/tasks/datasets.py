"""Data files, from ``MLPIHT_DATA_DIR``, the user's cache folder or a download with checksums."""

from __future__ import annotations

import gzip
import hashlib
import logging
import os
import tarfile
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from mlpiht_cli.errors import InputError
from mlpiht_cli.system.files import write_atomic
from mlpiht_cli.system.reasons import reason

log = logging.getLogger("mlpiht")

DATA_DIR = "MLPIHT_DATA_DIR"
OFFLINE = "MLPIHT_OFFLINE"
MAX_UNPACKED = 2**29
"""Most bytes of an archive that are read to find a member; the largest published archive has 184 MB."""


@dataclass(frozen=True)
class DataFile:
    """One published file.

    Attributes
    ----------
    folder, name
        Path in a data folder, ``folder/name`` or ``folder/name.gz``.
    url
        Address of the container: the file in gzip, or a tar archive that holds it.
    container_sha256, payload_sha256
        Checksums of the published container and of the file in it. The file's decides, since containers get remade.
    limit
        Most bytes of the payload, so that a forged archive cannot fill the memory.
    member
        Exact name of the file in the tar archive; None where the container is the file itself in gzip.
    """

    folder: str
    name: str
    url: str
    container_sha256: str
    payload_sha256: str
    limit: int
    member: str | None = None

    def __post_init__(self) -> None:
        if not self.url.startswith("https://") or {len(self.container_sha256), len(self.payload_sha256)} != {64}:
            raise ValueError(f"{self.name}: data files need an https address and both checksums")

    @property
    def source(self) -> str:
        """Place of publication, for messages."""
        return self.url if self.member is None else f"{self.member} of {self.url}"


_MNIST = "https://ossci-datasets.s3.amazonaws.com/mnist/"


def _mnist(name: str, container: str, payload: str, limit: int) -> DataFile:
    return DataFile("mnist", name, f"{_MNIST}{name}.gz", container, payload, limit)


_CIFAR = "https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"
_CIFAR_SHA256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"
_CIFAR_FOLDER = "cifar-10-batches-bin"


def _cifar(name: str, payload: str) -> DataFile:
    """One of the six files of the *binary* distribution; the Python distribution is pickled."""
    size = 10_000 * (1 + 3 * 32 * 32)
    return DataFile(_CIFAR_FOLDER, name, _CIFAR, _CIFAR_SHA256, payload, size, f"{_CIFAR_FOLDER}/{name}")


# The mirrors publish the checksums of the containers; those of the payloads are computed from the official files.
FILES: dict[str, tuple[DataFile, ...]] = {
    "mnist": (
        _mnist(
            "train-images-idx3-ubyte",
            "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609",
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            47_040_016,
        ),
        _mnist(
            "train-labels-idx1-ubyte",
            "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            60_008,
        ),
        _mnist(
            "t10k-images-idx3-ubyte",
            "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            7_840_016,
        ),
        _mnist(
            "t10k-labels-idx1-ubyte",
            "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
            10_008,
        ),
    ),
    # Training files in their order, then the test file.
    "cifar10": (
        _cifar("data_batch_1.bin", "cee916563c9f80d84e3cc88e17fdc0941787f1244f00a67874d45b261883ada5"),
        _cifar("data_batch_2.bin", "a591ca11fa1708a91ee40f54b3da4784ccd871ecf2137de63f51ada8b3fa57ed"),
        _cifar("data_batch_3.bin", "bbe8596564c0f86427f876058170b84dac6670ddf06d79402899d93ceea26f67"),
        _cifar("data_batch_4.bin", "014e562d6e23c72197cc727519169a60359f5eccd8945ad5a09d710285ff4e48"),
        _cifar("data_batch_5.bin", "755304fc0b379caeae8c14f0dac912fbc7d6cd469eb67a1029a08a39453a9add"),
        _cifar("test_batch.bin", "8e2eb146ae340b09e24670f29cabc6326dba54da8789dab6768acf480273f65b"),
    ),
}


def data_dirs() -> list[Path]:
    """Folders that are searched, in this order."""
    import platformdirs

    own = os.environ.get(DATA_DIR)
    return [*([Path(own).expanduser()] if own else []), Path(platformdirs.user_cache_dir("mlpiht"))]


def find(file: DataFile) -> Path | None:
    """Path of the local copy of a file, packed or not; None if there is none."""
    names = [f"{file.folder}/{file.name}", f"{file.folder}/{file.name}.gz", file.name, f"{file.name}.gz"]
    return next((d / name for d in data_dirs() for name in names if (d / name).is_file()), None)


def payload(path: Path, limit: int, member: str | None = None) -> bytes:
    """Read a file, unpacked if it is gzip, or one member of a tar archive.

    Raises
    ------
    InputError
        The file is unreadable or damaged, lacks the member, or is larger than ``limit`` bytes.
    """
    try:
        data = _read(path, member, limit + 1)
    except (OSError, EOFError, zlib.error, tarfile.TarError) as error:
        why = str(error) if isinstance(error, _Refused) else reason(error)
        raise InputError(f"{path}: cannot be read ({why}); move it away, then `mlpiht data fetch`") from error
    if len(data) > limit:
        raise InputError(f"{path}: holds more than {limit} bytes; put a good copy in its place")
    return data


def _read(path: Path, member: str | None, count: int) -> bytes:
    """Read at most ``count`` bytes, as :func:`payload` does."""
    if member is None:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as stream:
            return stream.read(count)
    with _Bounded(path) as unpacked, tarfile.open(fileobj=unpacked, mode="r|") as archive:
        # This stops at the member, while a look-up by name unpacks the whole archive first; a link is no file.
        found = next((entry for entry in archive if entry.name == member and entry.isfile()), None)
        content = None if found is None else archive.extractfile(found)
        if content is None:
            raise _Refused(f"no file {member} in it")
        return content.read(count)


class _Refused(tarfile.ReadError):
    """An archive that is refused for a reason of ours."""


class _Bounded(gzip.GzipFile):
    """A gzip file that raises an error after :data:`MAX_UNPACKED` unpacked bytes."""

    def read(self, size: int | None = -1) -> bytes:
        data = super().read(size)
        if self.tell() > MAX_UNPACKED:
            raise _Refused(f"it unpacks to more than {MAX_UNPACKED} bytes")
        return data


def sha256(data: bytes) -> str:
    """Hexadecimal SHA-256."""
    return hashlib.sha256(data).hexdigest()


def load(file: DataFile) -> tuple[bytes, dict[str, str]]:
    """Return a file's payload, and a note with its checksum if it is *not* the official one.

    Raises
    ------
    InputError
        The file is missing and cannot be downloaded; the message gives its name, its path and its checksum.
    """
    path = find(file) or download(file)
    data = payload(path, file.limit)
    digest = sha256(data)
    if digest == file.payload_sha256:
        return data, {}
    log.warning("%s: checksum %s is not the official one, %s; used all the same", path, digest, file.payload_sha256)
    return data, {f"unofficial_{file.name}": digest}


def unofficial(files: Iterable[DataFile]) -> dict[str, object]:
    """Checksums, by name, of the local files whose content is not the official one."""
    local = {file: find(file) for file in files}
    digests = {file: sha256(payload(path, file.limit)) for file, path in local.items() if path is not None}
    return {file.name: digest for file, digest in digests.items() if digest != file.payload_sha256}


def download(file: DataFile) -> Path:
    """Download a file to the user's cache folder, and check it against the published checksum.

    A tar archive stays in the cache for its other members; only the wanted member is unpacked, to ``file.name``.

    Raises
    ------
    InputError
        Downloads are off, or the download fails.
    """
    place = data_dirs()[-1] / file.folder
    if os.environ.get(OFFLINE):
        raise InputError(_missing(file, "and downloads are off (--offline)"))
    import pooch

    pooch.get_logger().setLevel(logging.ERROR)
    try:
        container = Path(
            pooch.retrieve(
                file.url,
                known_hash=f"sha256:{file.container_sha256}",
                fname=file.url.rpartition("/")[2],
                path=place,
                downloader=pooch.HTTPDownloader(timeout=30),
            )
        )
        if file.member is None:
            return container
        write_atomic(place / file.name, payload(container, file.limit, file.member))
    except (OSError, ValueError) as error:  # requests' errors are OSErrors; a wrong checksum is a ValueError
        raise InputError(_missing(file, f"and the download of {file.url} failed: {_why(error)}")) from error
    return place / file.name


def _why(error: Exception) -> str:
    """Why a download failed."""
    status = getattr(getattr(error, "response", None), "status_code", None)
    if status is not None:
        return f"the server answers {status}"
    if isinstance(error, OSError):
        return error.strerror or "no connection to the server"
    return "what came is not the published file"


def _missing(file: DataFile, why: str) -> str:
    places = " or ".join(str(d / file.folder / file.name) for d in data_dirs())
    return (
        f"data file {file.name} was not found, {why}.\n"
        f"  put it at: {places} (plain or .gz), or point {DATA_DIR} at a folder that has it\n"
        f"  it is published as {file.source}\n"
        f"  sha256 of the unpacked file: {file.payload_sha256}"
    )
