"""Settings of tasks and methods: what their rows and keys tell of them."""

from __future__ import annotations

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict


class Settings(BaseModel):
    """Fields that never change once made; unknown ones are refused, and so are values of another type."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    later: ClassVar[frozenset[str]] = frozenset()
    """Settings that came after rows were published.

    At its default such a setting is part of neither key nor row, so that both are those of the rows there are; see
    :data:`mlpiht_cli.specs.expand.LATER`.
    """

    def recorded(self) -> dict[str, Any]:
        """Return the settings as JSON values, without those that came later and are at their default."""
        fields = type(self).model_fields
        return {
            name: value
            for name, value in self.model_dump(mode="json").items()
            if name not in self.later or value != fields[name].default
        }
