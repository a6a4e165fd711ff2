"""How many samples a search has gone over: the passes that its rows report."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class Tally:
    """Number of samples that residuals, gradients and curvatures were computed on; one that repeats counts again."""

    samples: int = 0
    told: int = 0

    def add(self, samples: int) -> None:
        """Count samples."""
        self.samples += samples

    def since(self) -> int:
        """Return the number of samples since the last call."""
        found, self.told = self.samples - self.told, self.samples
        return found
