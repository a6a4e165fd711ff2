"""Words for the measures of the theory: label, and whether less is better. Data alone; loads without torch.

A label is the quantity and, after a comma, which of several values of it: lines in one pair of axes share the first
part on the axis, and the second part tells them apart.
"""

from __future__ import annotations

LABELS: dict[str, tuple[str, bool | None]] = {
    "lambda_min": ("least eigenvalue, measured", None),
    "lambda_min_formula": ("least eigenvalue, formula", None),
    "lambda_max": ("largest eigenvalue, measured", None),
    "lambda_max_formula": ("largest eigenvalue, formula", None),
    "alpha_found": ("least eigenvalue, found support", None),
    "alpha_random": ("least eigenvalue, random supports", None),
    "alpha_certified": ("least eigenvalue, certified", None),
    "alpha_own": ("least eigenvalue, own support", None),
    "alpha_merged": ("least eigenvalue, duplicates merged", None),
    "beta_found": ("largest eigenvalue, found support", None),
    "beta_random": ("largest eigenvalue, random supports", None),
    "beta_certified": ("largest eigenvalue, certified", None),
    "duplicate_pairs": ("pairs of duplicate neurons", True),
    "needed_budget": ("budget that the theorem needs", True),
    "tail_factor": ("factor of the loss per step, measured", True),
    "law_factor": ("factor of the loss per step, law", True),
    "bound_factor": ("factor of the loss per step, bound", True),
    "loss_ratio": ("loss over the first, measured", True),
    "law_ratio": ("loss over the first, law", True),
    "bound_ratio": ("loss over the first, bound", True),
    "over_oracle": ("error over the oracle's", True),
    "gates_changed": ("share of gates that change", None),
    "gates_settled": ("step from which the gates stay", None),
}
VERDICTS = ("applies", "least squares only", "undecided", "fails")
"""What ``verdict`` says of the theorem, the best first."""
