"""The guarantee measured: gate patterns, unit columns, restricted eigenvalues, and whether Theorem 1 of P1 applies."""
