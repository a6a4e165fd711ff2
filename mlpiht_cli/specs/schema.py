"""The schema of a spec. Settings of tasks and methods are checked by the registry's classes (see plan.py)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mlpiht_cli.errors import InputError, did_you_mean
from mlpiht_cli.specs.load import Document, Fault, load

SPEC_VERSION = 1
PAPER = "paper"

Width = Annotated[int, Field(ge=1, strict=True)]
Budget = Annotated[int, Field(ge=1, strict=True)]
# NumPy's legacy generator takes 32 bits, and the planted streams add small offsets to the seed.
Seed = Annotated[int, Field(ge=0, lt=2**32 - 16, strict=True)]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]*$", max_length=80)]


def _distinct(values: list[Any]) -> list[Any]:
    if len(set(values)) != len(values):
        raise ValueError("holds a value twice")
    return values


def _ascending(limits: tuple[float, float]) -> tuple[float, float]:
    if not limits[0] < limits[1]:
        raise ValueError("the lower limit must be below the upper one")
    return limits


Finite = Annotated[float, Field(allow_inf_nan=False)]
Limits = Annotated[tuple[Finite, Finite], AfterValidator(_ascending)]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Entry(BaseModel):
    """A task or method by ``name``, with its settings beside it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str

    @property
    def settings(self) -> dict[str, Any]:
        """The settings given in the spec."""
        return dict(self.model_extra or {})


class Panel(_Strict):
    """One panel of a figure: a task and the grid of widths, budgets and seeds it is run on."""

    name: Name
    title: str = ""
    task: Entry
    depth: int = Field(1, ge=1, le=10, strict=True, description="hidden layers of the student")
    m: list[Width] = Field(min_length=1, description="hidden widths")
    s: list[Budget] = Field(min_length=1, description="budgets: nonzero weights allowed")
    seeds: list[Seed] | None = Field(None, min_length=1, description="overrides the spec's seeds")
    methods: list[Entry] | None = Field(None, min_length=1, description="overrides the spec's methods")
    limits: Limits | None = Field(None, description="colour limits, if not the figure's")

    _unique = field_validator("m", "s", "seeds")(lambda values: values if values is None else _distinct(values))


class FigureSpec(_Strict):
    """How the results are drawn."""

    label: str = Field(description="what it reproduces, e.g. Figure 1")
    kind: str = "heatmap"
    metric: Literal["psnr", "accuracy"] = "psnr"
    limits: Limits = (-20.0, 50.0)


class Profile(_Strict):
    """A smaller version of the spec: it keeps some grid points, and lowers n, steps or epochs."""

    m: list[Width] | None = Field(None, min_length=1)
    s: list[Budget] | None = Field(None, min_length=1)
    seeds: list[Seed] | None = Field(None, min_length=1)
    set: dict[Literal["task.n", "method.steps", "method.epochs"], Annotated[int, Field(ge=1, strict=True)]] = Field(
        default_factory=dict
    )


class Spec(_Strict):
    """A figure's experiment: panels times methods times widths times budgets times seeds."""

    spec_version: int = Field(strict=True)
    name: Name
    title: str
    source: str = Field(description="what it reproduces: paper and figure")
    seeds: list[Seed] = Field(min_length=1)
    methods: list[Entry] = Field(min_length=1)
    panels: list[Panel] = Field(min_length=1)
    figure: FigureSpec
    profiles: dict[Literal["smoke", "laptop", "paper"], Profile] = Field(default_factory=dict)

    _unique_seeds = field_validator("seeds")(_distinct)

    @field_validator("spec_version")
    @classmethod
    def _known_version(cls, version: int) -> int:
        if version != SPEC_VERSION:
            newer = "; update mlpiht" if version > SPEC_VERSION else ""
            raise ValueError(f"this mlpiht reads version {SPEC_VERSION}, the spec has {version}{newer}")
        return version

    @model_validator(mode="after")
    def _unique_names(self) -> Spec:
        lists = {"panels": [panel.name for panel in self.panels], "methods": [one.name for one in self.methods]}
        lists |= {f"methods of panel '{p.name}'": [one.name for one in p.methods or []] for p in self.panels}
        for what, names in lists.items():
            if len(set(names)) != len(names):
                raise ValueError(f"two {what} have the same name")
        return self


def read_spec(path: Path) -> tuple[Spec | None, Document, list[Fault]]:
    """Read a spec and list all that is wrong with it; the spec is None when its schema does not hold.

    Raises
    ------
    InputError
        The file is not well-formed YAML.
    """
    document = load(path)
    if not isinstance(document.data, dict):
        raise InputError(f"{path}:1:1: a spec is a mapping of fields; see `mlpiht specs show figure1`")
    try:
        spec = Spec.model_validate(document.data)
    except ValidationError as error:
        return None, document, [*document.faults, *faults_of(error, ())]
    return spec, document, [*document.faults, *profile_faults(spec)]


def load_spec(path: Path) -> Spec:
    """Read a spec by its schema alone, settings of tasks and methods unseen (for plotting, without torch).

    Raises
    ------
    InputError
        All that is wrong, with positions.
    """
    spec, document, faults = read_spec(path)
    if spec is None or faults:
        raise document.error(faults)
    return spec


def faults_of(
    error: ValidationError, prefix: tuple[str | int, ...], model: type[BaseModel] | None = None
) -> list[Fault]:
    """Pydantic's errors in our words, with a suggestion for a misspelt field."""
    faults = []
    for item in error.errors(include_url=False, include_context=True):
        inner = tuple(part for part in item["loc"] if part != "[key]")
        location = (*prefix, *inner)
        if item["type"] == "extra_forbidden":
            known = _fields_at(model or Spec, inner[:-1])
            message = f"unknown field{did_you_mean(str(inner[-1]), known)}"
        elif item["type"] == "missing":
            message = "this field is missing"
        elif item["type"] == "too_short":
            message = "the grid is empty: give at least one value"
        else:
            message = item["msg"].removeprefix("Value error, ")
            message = f"{message[0].lower()}{message[1:]}, got {_short(item['input'])}"
        faults.append(Fault(location, message))
    return faults


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _fields_at(model: type[BaseModel], inner: tuple[str | int, ...]) -> list[str]:
    """Fields of the model found by walking ``inner`` from ``model``."""
    current: Any = model
    for part in inner:
        if isinstance(part, int):
            continue
        if isinstance(current, type) and issubclass(current, BaseModel) and part in current.model_fields:
            current = _model_in(current.model_fields[part].annotation)
        # a name that is no field is the key of a mapping, whose values' model was found one step before
    return [*current.model_fields] if isinstance(current, type) and issubclass(current, BaseModel) else []


def _model_in(annotation: Any) -> Any:
    """The BaseModel inside an annotation such as ``list[Panel] | None``."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    found = [_model_in(part) for part in getattr(annotation, "__args__", ())]
    return next((model for model in found if model is not None), None)


def profile_faults(spec: Spec) -> list[Fault]:
    """Profiles that do not shrink the spec: values it has nowhere, or a panel left without any."""
    faults = []
    for name, profile in spec.profiles.items():
        for axis in ("m", "s", "seeds"):
            wanted = getattr(profile, axis)
            if wanted is None:
                continue
            grids = [getattr(panel, axis) or spec.seeds for panel in spec.panels]
            at = ("profiles", name, axis)
            known = {value for grid in grids for value in grid}
            faults += [
                Fault((*at, i), f"{value} is in no panel; a profile only shrinks grids")
                for i, value in enumerate(wanted)
                if value not in known
            ]
            faults += [
                Fault(at, f"leaves panel '{panel.name}' without any value")
                for panel, grid in zip(spec.panels, grids, strict=True)
                if not set(grid) & set(wanted)
            ]
    return faults
