"""A network in the forms of other libraries: PyTorch modules and ONNX graphs."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import nn

from mlpiht_cli.core.stages import Stage
from mlpiht_cli.errors import InputError
from mlpiht_cli.system.files import write_atomic

if TYPE_CHECKING:
    from onnx import NodeProto, TensorProto
    from torch import Tensor

OPSET = 17
IR_VERSION = 8
"""Versions of the ONNX operators and of the file, which ONNX Runtime reads since its version 1.12 (2022)."""
MOST_BYTES = 2**31 - 2**20
"""Largest size of the weights in an ONNX file, which is one message of at most 2 GiB."""


class GatedLinear(nn.Module):
    """``(W x + b) 1[G x + g > 0]``, a layer of a gated network; ``linear`` holds W and b, ``gate`` holds G and g."""

    def __init__(self, linear: nn.Linear, gate: nn.Linear) -> None:
        super().__init__()
        self.linear, self.gate = linear, gate

    def forward(self, x: Tensor) -> Tensor:
        """Outputs ``[n, out]`` of inputs ``[n, in]``."""
        out: Tensor = self.linear(x) * (self.gate(x) > 0)
        return out


def module(stages: Sequence[Stage]) -> nn.Sequential:
    """The chain as ``Linear``, ``ReLU`` and :class:`GatedLinear` modules, with the dtype and device of its weights."""
    parts: list[nn.Module] = []
    for stage in stages:
        linear, gates = _linear(stage.weights, stage.bias), stage.gates
        parts.append(linear if gates is None else GatedLinear(linear, _linear(gates, stage.gate_bias)))
        parts += [nn.ReLU()] if stage.relu else []
    return nn.Sequential(*parts)


def _linear(weights: Tensor, bias: Tensor | None) -> nn.Linear:
    linear = nn.Linear(weights.shape[1], weights.shape[0], bias is not None, device="meta")  # draws no random weights
    linear.weight = nn.Parameter(weights.clone())
    if bias is not None:
        linear.bias = nn.Parameter(bias.clone())
    return linear


def loading_lines(stages: Sequence[Stage], file: str) -> list[str]:
    """Lines of Python that load the saved state of :func:`module` without mlpiht.

    Layers on the device ``meta`` draw no random weights; they take the arrays of the state as they are.
    """
    load = f"state = torch.load({json.dumps(file)}, weights_only=True)"
    parts = []
    for i, stage in enumerate(stages):
        if stage.gates is not None:
            linear = [
                f'torch.nn.functional.linear(x, *(state[k] for k in state if k.startswith("{i}.{part}.")))'
                for part in ("linear", "gate")
            ]
            rest = f' @ state["{i + 1}.weight"].T' if len(stages) > i + 1 else ""
            return [load, f"h = {linear[0]} * ({linear[1]} > 0)", f"y = h{rest}"]
        out, into = stage.weights.shape
        bias = "" if stage.bias is not None else "bias=False, "
        parts.append(f'torch.nn.Linear({into}, {out}, {bias}device="meta")')
        parts += ["torch.nn.ReLU()"] if stage.relu else []
    return [load, f"net = torch.nn.Sequential({', '.join(parts)})", "net.load_state_dict(state, assign=True)"]


def onnx_bytes(stages: Sequence[Stage], notes: Mapping[str, object] | None = None) -> bytes:
    """The chain as an ONNX file with the input ``x`` ``[n, d]`` and the output ``y`` ``[n, k]``, for any n.

    Parameters
    ----------
    stages
        The chain.
    notes
        JSON values that the file's metadata hold by name.

    Raises
    ------
    InputError
        The package ``onnx`` is missing, or the weights do not fit into one file.
    """
    try:
        import onnx
    except ImportError as error:
        raise InputError("ONNX files need the package onnx; run pip install 'mlpiht[onnx]'") from error
    size = sum(part.nbytes for stage in stages for part in (stage.weights, stage.gates) if part is not None)
    if size > MOST_BYTES:
        raise InputError(f"its layers take {size / 2**30:.1f} GiB, and an ONNX file holds 2 GiB; use --to torch")
    nodes, weights = _nodes(stages)
    first, last = stages[0].weights, stages[-1].weights
    kind = weights[0].data_type
    graph = onnx.helper.make_graph(
        nodes,
        "mlpiht",
        [onnx.helper.make_tensor_value_info("x", kind, ["n", first.shape[1]])],
        [onnx.helper.make_tensor_value_info("y", kind, ["n", last.shape[0]])],
        weights,
    )
    opset = onnx.helper.make_opsetid("", OPSET)
    made = onnx.helper.make_model(graph, producer_name="mlpiht", opset_imports=[opset], ir_version=IR_VERSION)
    onnx.helper.set_model_props(made, {name: json.dumps(value) for name, value in (notes or {}).items()})
    onnx.checker.check_model(made)
    data: bytes = made.SerializeToString()
    return data


def _nodes(stages: Sequence[Stage]) -> tuple[list[NodeProto], list[TensorProto]]:
    """Operators from ``x`` to ``y``, and the arrays that they use."""
    from onnx import helper, numpy_helper

    nodes, arrays = [], []

    def array(name: str, values: Tensor) -> str:
        arrays.append(numpy_helper.from_array(values.detach().cpu().numpy(), name))
        return name

    def product(name: str, source: str, weights: Tensor, bias: Tensor | None) -> None:
        given = [source, array(f"{name}.weight", weights)]
        given += [] if bias is None else [array(f"{name}.bias", bias)]
        nodes.append(helper.make_node("Gemm", given, [name], transB=1))

    source = "x"
    for i, stage in enumerate(stages):
        goal = "y" if i == len(stages) - 1 else f"h{i + 1}"
        plain = stage.gates is None and not stage.relu
        product(goal if plain else f"linear{i + 1}", source, stage.weights, stage.bias)
        if stage.gates is not None:
            product(f"gate{i + 1}", source, stage.gates, stage.gate_bias)
            zero = array(f"zero{i + 1}", stage.weights.new_zeros(1))
            nodes.append(helper.make_node("Greater", [f"gate{i + 1}", zero], [f"open{i + 1}"]))
            nodes.append(helper.make_node("Where", [f"open{i + 1}", f"linear{i + 1}", zero], [goal]))
        elif stage.relu:
            nodes.append(helper.make_node("Relu", [f"linear{i + 1}"], [goal]))
        source = goal
    return nodes, arrays


def torch_bytes(stages: Sequence[Stage]) -> bytes:
    """The state of :func:`module` as ``torch.save`` writes it: tensors alone, for ``weights_only=True``."""
    buffer = io.BytesIO()
    torch.save(module(stages).state_dict(), buffer)
    return buffer.getvalue()


def write(path: Path | str, data: bytes) -> None:
    """Write a file; readers see all of it or nothing."""
    write_atomic(Path(path), data)
