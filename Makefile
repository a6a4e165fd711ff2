# The environment is made by the targets themselves: `make demo` works on a bare clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= laptop
# Commands from the checkout, so that bare spec names and results/ are those of this folder.
MLPIHT := $(BIN)/mlpiht

.PHONY: setup demo test test-all lint format figure1 figure3 clean help

help:
	@echo "make demo      a panel of the paper's Figure 1, small: table and heat map in results/"
	@echo "make test      the tests"
	@echo "make test-all  the tests and the long checks at the paper's size (some minutes)"
	@echo "make lint      ruff and mypy"
	@echo "make figure1   sweep and plot a figure (also figure3); PROFILE=smoke|laptop|paper"

setup: $(VENV)/.done

# The constraints pin torch: plain pip then takes the release they name and nothing newer.
$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade-strategy only-if-needed -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(MAKE) --no-print-directory figure1 PROFILE=smoke

test: setup
	$(BIN)/python -m pytest

test-all: setup
	$(BIN)/python -m pytest -m ''

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

figure1 figure3: setup
	$(MLPIHT) sweep $@ --profile $(PROFILE)
	$(MLPIHT) plot $@ --profile $(PROFILE)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist *.egg-info
