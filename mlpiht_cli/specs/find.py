"""Find a spec by path or bare name."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path

from mlpiht_cli.errors import InputError, did_you_mean


def shipped() -> Path:
    """Folder of the specs that come with the package."""
    package = Path(__file__).resolve().parent.parent
    installed = package / "_experiments"
    return installed if installed.is_dir() else package.parent / "experiments"


def names() -> list[str]:
    """Names of the shipped specs."""
    return sorted(path.stem for path in shipped().glob("*.yaml"))


def find_spec(name: str) -> Path:
    """Look in the current folder, then in ``experiments/``, then among the specs shipped with the package.

    Raises
    ------
    InputError
        There is no such spec.
    """
    file = name if name.endswith((".yaml", ".yml")) else f"{name}.yaml"
    candidates = [Path(name), Path(file), Path("experiments") / file, shipped() / file]
    for path in candidates:
        with contextlib.suppress(OSError):  # a name that no file system takes
            if path.is_file() and path.suffix in (".yaml", ".yml"):
                return path
    hint = did_you_mean(Path(file).stem, names())
    raise InputError(f"no spec '{name}' in this folder, in experiments/ or among those shipped{hint}")


def command_line(command: str, named: str, profile: str, results: Path) -> str:
    """Return a command of a spec, as a shell takes it."""
    place = "" if results == Path("results") else f" --out {shlex.quote(str(results))}"
    return f"mlpiht {command} {shlex.quote(named)} --profile {profile}{place}"


def all_specs() -> list[Path]:
    """All specs that a bare name finds: of one name, the first in the order of :func:`find_spec`."""
    found: dict[str, Path] = {}
    for folder in (Path(), Path("experiments"), shipped()):
        for path in sorted((*folder.glob("*.yaml"), *folder.glob("*.yml"))):
            found.setdefault(path.stem, path)
    return list(found.values())
