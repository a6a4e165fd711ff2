"""Settings of tasks and methods, and the part of them that rows and keys hold."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Base class of settings: an instance never changes; unknown fields and values of another type are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    later: ClassVar[frozenset[str]] = frozenset()
    """Settings that were added after rows were published.

    Such a setting at its default is part of neither key nor row, so both stay the same as for the published rows; see
    :data:`mlpiht_cli.analysis.variants.LATER`.
    """

    def recorded(self) -> dict[str, Any]:
        """Return the settings as JSON values, without those of ``later`` that are at their default."""
        fields = type(self).model_fields
        return {
            name: value
            for name, value in self.model_dump(mode="json").items()
            if name not in self.later or value != fields[name].default
        }
