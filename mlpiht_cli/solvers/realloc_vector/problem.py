"""Between a problem with several outputs and the search: inputs and outputs of about unit size, and networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mlpiht_cli.core.model import SparseMLP
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.solvers.realloc.limits import Limits
from mlpiht_cli.solvers.realloc.problem import powers_of_two
from mlpiht_cli.solvers.realloc_vector.network import Neurons, VectorSamples
from mlpiht_cli.solvers.realloc_vector.search import VectorSearch

if TYPE_CHECKING:
    from torch import Tensor

    from mlpiht_cli.core.problem import Problem


@dataclass(frozen=True)
class SeveralOutputs:
    """A problem's samples, inputs and outputs divided by powers of two, without outputs that are always zero.

    Attributes
    ----------
    samples
        The samples.
    inputs, outputs
        What inputs ``[d]`` and live outputs were divided by.
    live
        Outputs that are not always zero, bool ``[k]``.
    """

    samples: VectorSamples
    inputs: Tensor
    outputs: Tensor
    live: Tensor

    @classmethod
    def of(cls, problem: Problem) -> SeveralOutputs:
        """Scale the samples of a problem; this takes the memory of its inputs once more."""
        live = problem.y.abs().amax(0) > 0
        y, inputs = problem.y[:, live], powers_of_two(problem.x)
        outputs = powers_of_two(y)
        samples = VectorSamples((problem.x / inputs).T.contiguous(), (y / outputs).T.contiguous())
        return cls(samples, inputs.double(), outputs.double(), live)

    def search(self, model: SparseMLP, limits: Limits) -> VectorSearch:
        """Return a search that starts with a network as the best one."""
        units = self.outputs.square() / len(self.live)
        start = self._neurons(model)
        limits = replace(limits, s=min(limits.s, limits.m * (len(self.inputs) + len(self.live))))
        return VectorSearch(self.samples, limits, units, (start, float(units @ self.samples.losses(start))))

    def _neurons(self, model: SparseMLP) -> Neurons:
        hidden, output = model.layers
        output = output.transposed()
        live = hidden.live_rows()
        rows = hidden.dense_rows(live).double() * self.inputs
        found = Neurons.of(rows, output.dense_rows(live).double()[:, self.live] / self.outputs)
        return found.kept(found.support, found.used)

    def model(self, found: Neurons, like: SparseMLP) -> SparseMLP:
        """Return the network with the widths and the dtype of ``like``."""
        m, k = like.layers[0].rows, len(self.live)
        hidden = SparseMatrix.from_dense(found.hidden / self.inputs)
        output = found.output.new_zeros(k, m)
        output[self.live, : found.count] = (found.output * self.outputs).T
        first = SparseMatrix(hidden.index, hidden.values, m, len(self.inputs))
        return SparseMLP((first, SparseMatrix.from_dense(output))).to(found.hidden.device, like.dtype)
