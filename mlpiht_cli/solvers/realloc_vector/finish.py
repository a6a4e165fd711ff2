"""Finished networks: fitted to the last digit, without rounding errors, and with weights too small to show before."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

from mlpiht_cli.solvers.realloc_vector.decode import merged
from mlpiht_cli.solvers.realloc_vector.grow import with_inputs, with_outputs
from mlpiht_cli.solvers.realloc_vector.network import Neurons, VectorSamples
from mlpiht_cli.solvers.realloc_vector.newton import JointNewton, VectorFitted

EXACT = 1e-12
"""Mean squared error below which an output is exact in float32, relative to its mean square."""
NEAR = 1e-10
"""Mean squared error, relative, below which a finished network is fitted in float64."""
PARALLEL = 0.9999
"""Cosine above which two neurons of a finished network are tried as one: small weights of both cancel."""
ROUNDING = (1e-4, 1e-5, 1e-6, 1e-7)
"""Weights below these shares of the largest of their row ``u_j`` or their output are dropped on trial."""
STAYS = 1.1
"""Factor by which the loss may rise where weights are dropped."""


@dataclass(frozen=True)
class Finish:
    """Fit a network without a linear part; in float64 and with its supports corrected if it may be the right one.

    The samples are held in float64 then, too: twice their memory in float32.
    """

    samples: VectorSamples

    @cached_property
    def _double(self) -> VectorSamples:
        return self.samples.double()

    def __call__(self, blocks: Neurons, most: int) -> VectorFitted:
        """Return the fitted network; its supports grow to at most ``most`` weights."""
        fitted = JointNewton(8, gain=0.1, floor=EXACT)(self.samples, blocks)
        if fitted.loss > NEAR:
            return fitted
        fitted = self._fitted(fitted.blocks, 8)
        tried = self._fitted(self._grown(fitted, most - fitted.blocks.nnz), 3)
        if tried.loss < fitted.loss / STAYS:
            fitted = tried
        for fewer in self._smaller(fitted):
            tried = self._fitted(fewer, 3)
            if tried.loss <= STAYS * fitted.loss:
                return tried
        return fitted

    def _fitted(self, blocks: Neurons, rounds: int) -> VectorFitted:
        return JointNewton(rounds, gain=0.1, sampled=False)(self._double, blocks)

    def _grown(self, fitted: VectorFitted, room: int) -> Neurons:
        """Return the network with the places whose gradient stands out, as many as there is room for."""
        blocks = fitted.blocks
        if room > 0:
            blocks = with_inputs(self._double, blocks, fitted.losses, max(1, room // 2))
            blocks = with_outputs(self._double, blocks, fitted.losses, room - max(1, room // 2))
        return blocks

    def _smaller(self, fitted: VectorFitted) -> Iterator[Neurons]:
        """Yield networks with fewer weights, if there are, the smallest first."""
        whole = fitted.blocks.scaled()
        for at in (merged(whole, PARALLEL).scaled(), whole):
            largest = at.output.abs().amax(0)
            for share in ROUNDING:
                fewer = at.kept(at.hidden.abs() > share, at.output.abs() > share * largest)
                if fewer.nnz < whole.nnz:
                    yield fewer
