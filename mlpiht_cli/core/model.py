"""SparseMLP: the sparse network that every method returns."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from mlpiht_cli.core.model_arrays import read_matrix, read_meta, read_vector
from mlpiht_cli.core.products import factor, inputs, samples_at_a_time
from mlpiht_cli.core.stages import Stage, chain
from mlpiht_cli.errors import InputError
from mlpiht_cli.linalg.sparse import SparseMatrix
from mlpiht_cli.system.files import write_atomic
from mlpiht_cli.system.memory import check_room
from mlpiht_cli.system.npz import Arrays, pack, unpack

if TYPE_CHECKING:
    from scipy.sparse import csr_array
    from torch import Tensor, nn

FORMAT = "mlpiht-model-1"


class _Stage(NamedTuple):
    """A layer between live neurons alone: weights ``[live, before]``, the rows that are live, gates ``[live, d]``."""

    weights: Tensor
    live: Tensor
    gates: Tensor | None


@dataclass(frozen=True)
class SparseMLP:
    """A ReLU network that stores only its nonzero weights; only its first layer may have biases.

    Attributes
    ----------
    layers
        Weight matrices, input side first, each ``[out, in]``. ReLU follows every layer except the last; with a
        ``readout`` it follows the last layer too.
    readout
        Fixed output signs ``[m]`` of a fused network, ``yhat = sum_j readout_j relu(w_j . x)``; None if the
        last layer is the (trained) output. Fixed signs do not count as weights.
    gates
        Gate vectors ``[m, d]`` of a gated network, ``yhat = sum_j readout_j 1[h_j . x > 0] (w_j . x)``, for
        the live neurons; None for a ReLU network.
    bias
        Biases ``[m]`` of the first layer, added before its ReLU; None if it has none. They do not count as weights.
        Gated networks have none.
    """

    layers: tuple[SparseMatrix, ...]
    readout: Tensor | None = None
    gates: SparseMatrix | None = None
    bias: Tensor | None = None

    @classmethod
    def silent(cls, widths: Sequence[int], like: Tensor) -> SparseMLP:
        """Return the network without weights, which predicts 0. ``widths`` go from the inputs to the outputs."""
        return cls(tuple(SparseMatrix.zeros(out, into, like) for into, out in pairwise(widths)))

    @property
    def nnz(self) -> int:
        """Number of nonzero weights."""
        return sum(self.nnz_by_layer)

    @property
    def nnz_by_layer(self) -> list[int]:
        """Number of nonzero weights of each layer."""
        return [layer.nnz for layer in self.layers]

    @property
    def inputs(self) -> int:
        """Number of input features d."""
        return self.layers[0].cols

    @property
    def dtype(self) -> torch.dtype:
        """Type of the weights, and of the inputs that it takes."""
        return self.layers[0].values.dtype

    @property
    def outputs(self) -> int:
        """Number of outputs k."""
        return 1 if self.readout is not None else self.layers[-1].rows

    def forward(self, x: Tensor) -> Tensor:
        """Return predictions ``[n, k]`` for inputs ``[n, d]``; only live neurons and used inputs are computed."""
        if x.ndim != 2 or x.shape[1] != self.inputs:
            raise ValueError(f"the model takes {self.inputs} features, the data have {tuple(x.shape)}")
        used, stages = self._stages()
        widths = [len(used), *(len(stage.live) for stage in stages)]
        step = samples_at_a_time(widths, x.device)
        out = x.new_empty(len(x), self.outputs)
        for a in range(0, len(x), step):
            span = slice(a, a + step)
            out[span] = self._forward(inputs(x, span, used, stages[0].weights), stages).T
        return out

    def hidden(self, x: Tensor) -> Tensor:
        """Return the first hidden layer's activations ``relu(X W^T)``, ``[n, d] -> [n, m]``."""
        first, live = self.layers[0], self._live(0)
        out = x.new_zeros(len(x), first.rows)
        products = x @ first.dense_rows(live).T
        out[:, live] = (products if self.bias is None else products + self.bias[live]).relu()
        return out

    def _live(self, i: int) -> Tensor:
        """Return the rows of a layer that may be nonzero: those with weights, or all if the layer has biases."""
        layer = self.layers[i]
        has_bias = i == 0 and self.bias is not None
        return torch.arange(layer.rows, device=layer.index.device) if has_bias else layer.live_rows()

    def _rows(self, i: int) -> Tensor:
        """Return the rows of a layer that are computed: those of :meth:`_live`, and all of an output layer."""
        layer = self.layers[i]
        is_output = i == len(self.layers) - 1 and self.readout is None
        return torch.arange(layer.rows, device=layer.index.device) if is_output else self._live(i)

    def _stages(self) -> tuple[Tensor, list[_Stage]]:
        """Return the inputs that are used, and the layers as :meth:`_forward` multiplies them."""
        first = self.layers[0]
        every = torch.arange(self.inputs, device=first.index.device)
        known = used = every if self.gates is not None else torch.unique(first.col[first.values != 0])
        stages = []
        for i, layer in enumerate(self.layers):
            ids = self._rows(i)
            gates = None if self.gates is None else self.gates.dense_rows(ids)
            stages.append(_Stage(factor(layer.dense_rows(ids)[:, known]), ids, gates))
            known = ids
        return used, stages

    def _forward(self, hidden: Tensor, stages: Sequence[_Stage]) -> Tensor:
        """Predictions ``[k, b]`` of used inputs ``[used, b]``."""
        for i, (weights, ids, gates) in enumerate(stages):
            before, hidden = hidden, weights @ hidden
            if i == 0 and self.bias is not None:
                hidden = hidden + self.bias[ids, None]
            if gates is not None:
                hidden = hidden * (gates @ before > 0)
            elif i < len(stages) - 1 or self.readout is not None:
                hidden = hidden.relu_()
        return hidden if self.readout is None else (self.readout[ids].to(hidden.dtype) @ hidden)[None]

    def first_layer_support(self) -> SparseMatrix:
        """Return the first-layer weights whose neuron reaches the output, to compare them with planted weights."""
        first = self.layers[0]
        if len(self.layers) == 1:
            return first
        used = torch.unique(self.layers[1].col[self.layers[1].values != 0])
        keep = torch.isin(first.row, used)
        return SparseMatrix(first.index[keep], first.values[keep], first.rows, first.cols)

    @property
    def support(self) -> list[NDArray[np.int64]]:
        """Places of the nonzero weights of each layer, int64 ``[nnz, 2]`` of (out, in), ascending."""
        return [layer.places() for layer in self.layers]

    def stages(self) -> list[Stage]:
        """Return the network as a chain of dense layers between live neurons; a readout is the last of them."""
        rows = [self._rows(i) for i in range(len(self.layers))]
        return chain(self.layers, rows, self.readout, self.gates, self.bias)

    def to_torch(self) -> nn.Module:
        """Return a module of ``Linear`` and ``ReLU`` layers with the same predictions ``[n, d] -> [n, k]``.

        Its layers hold the live neurons alone, as dense parameters: further training makes zero weights nonzero.
        """
        from mlpiht_cli.core import export

        return export.module(self.stages())

    def to_onnx(self, path: Path | str) -> None:
        """Write an ONNX file with the same predictions; its input ``x`` is ``[n, d]``, its output ``y`` ``[n, k]``.

        Raises
        ------
        InputError
            The package ``onnx`` is missing (``pip install 'mlpiht[onnx]'``), or the layers take more than 2 GiB.
        """
        from mlpiht_cli.core import export

        export.write(path, export.onnx_bytes(self.stages()))

    def to_scipy(self) -> list[csr_array[Any]]:
        """Return the weights of each layer as a SciPy matrix ``[out, in]``."""
        return [layer.to_scipy() for layer in self.layers]

    def to(self, device: torch.device | str, dtype: torch.dtype | None = None) -> SparseMLP:
        """Return a copy on another device or in another dtype."""
        return SparseMLP(
            tuple(layer.to(device, dtype) for layer in self.layers),
            None if self.readout is None else self.readout.to(device),
            None if self.gates is None else self.gates.to(device, dtype),
            None if self.bias is None else self.bias.to(device, dtype),
        )

    def save(self, path: Path | str, meta: Mapping[str, object] | None = None) -> None:
        """Write the model and ``meta`` (JSON values) to an npz file without pickled objects."""
        arrays: Arrays = {"format": np.array(FORMAT), "meta": np.array(json.dumps(meta or {}))}
        matrices = {f"layer{i}": layer for i, layer in enumerate(self.layers)}
        if self.gates is not None:
            matrices["gates"] = self.gates
        for name, matrix in matrices.items():
            arrays[f"{name}_index"] = matrix.index.cpu().numpy()
            arrays[f"{name}_values"] = matrix.values.cpu().numpy()
            arrays[f"{name}_shape"] = np.array([matrix.rows, matrix.cols])
        for name, vector in (("readout", self.readout), ("bias", self.bias)):
            if vector is not None:
                arrays[name] = vector.cpu().numpy()
        write_atomic(Path(path), pack(arrays))

    @classmethod
    def load(cls, path: Path | str) -> tuple[SparseMLP, dict[str, object]]:
        """Read a model and its ``meta`` from a file that :meth:`save` wrote.

        Raises
        ------
        InputError
            The file cannot be read, or is not a model of mlpiht.
        """
        path = Path(path)
        try:
            data = unpack(path)
            if "format" not in data or str(data["format"]) != FORMAT:
                raise ValueError(f"its arrays are not those of the format '{FORMAT}'")
            count = sum(name.startswith("layer") and name.endswith("_index") for name in data)
            layers = tuple(read_matrix(data, f"layer{i}") for i in range(count))
            gates = read_matrix(data, "gates") if "gates_index" in data else None
            readout = read_vector(data["readout"], "readout") if "readout" in data else None
            bias = read_vector(data["bias"], "bias") if "bias" in data else None
            model, meta = cls(layers, readout, gates, bias), read_meta(data)
            _check_shapes(model)
        except ValueError as error:
            raise InputError(
                f"{path}: not a model file of mlpiht ({error}); name one that `mlpiht fit --save` wrote"
            ) from error
        return model, meta


def _check_shapes(model: SparseMLP) -> None:
    if not model.layers:
        raise ValueError("it has no layers")
    if model.bias is not None and (model.gates is not None or model.bias.shape != (model.layers[0].rows,)):
        raise ValueError("the biases do not fit the first layer")
    # `forward` makes these rows dense: those of live neurons, and all rows of an output layer.
    last = model.layers[-1] if model.readout is None else None
    live = [layer.rows if layer is last else len(model._live(i)) for i, layer in enumerate(model.layers)]
    dense = sum(rows * layer.cols for rows, layer in zip(live, model.layers, strict=True))
    check_room(16 * dense, "its layers")
    for a, b in pairwise(model.layers):
        if a.rows != b.cols:
            raise ValueError("the layers do not fit together")
    if model.readout is not None and model.readout.shape != (model.layers[-1].rows,):
        raise ValueError("the readout does not fit the last layer")
    if model.gates is not None and (model.gates.rows, model.gates.cols) != (
        model.layers[0].rows,
        model.layers[0].cols,
    ):
        raise ValueError("the gates do not fit the first layer")
