"""The contracts: problem, task, method, model, settings, scoring."""
