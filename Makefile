# The environment is made by the targets themselves: `make demo` works on a bare clone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PROFILE ?= laptop
JOBS ?= 1
# yes: run the cells of the paper profile
RUN ?=
# Only some cells, e.g. ONLY='method=iht|iht_vector'; figures then mark the others as missing
ONLY ?=
# Folder of tables and figures; an empty one begins from nothing
OUT ?= results
# Commands from the checkout, so that bare spec names and results/ are those of this folder.
MLPIHT := $(BIN)/mlpiht

FIGURES := figure1 figure2 figure3 figure4 figure5 figure6 figure7 figure8 figure9 figure10
TABLES := table1 table2 gaussian imp_protocol beyond_zero vector_steps iris index_models recovery recovery_vector recovery_inputs recovery_noise recovery_deep recovery_real phase_transition rivals rivals_linear theory theory_mnist

.PHONY: setup demo test test-all dist bench lint format pins docs pages $(FIGURES) $(TABLES) all-figures tables reproduction clean help

help:
	@echo "make demo      a panel of the paper's Figure 1, small: table and heat map in results/"
	@echo "make test      the tests"
	@echo "make test-all  the tests and the long checks at the paper's size (some minutes)"
	@echo "make dist      wheel and source archive in dist/, tried in an environment of their own in build/installed"
	@echo "make bench     speed and memory, against the formulas written out and against IMP (an hour)"
	@echo "make docs      the site of docs/ in docs/_build; warnings are errors"
	@echo "make pages     the generated parts of docs/: options, fields of a spec, measures, kinds of figures"
	@echo "make lint      ruff and mypy"
	@echo "make pins      after a version was raised, or to say that changed sources give the same results"
	@echo "make figure1   sweep, plot and check a figure (figure1 ... figure10); PROFILE=smoke|laptop|paper JOBS=N|auto"
	@echo "                  PROFILE=paper shows the committed tables; RUN=yes runs what they lack (days);"
	@echo "                  ONLY='method=iht|iht_vector' runs some cells, OUT=folder writes elsewhere"
	@echo "make tables    the same for the tables and our own comparisons: $(TABLES)"
	@echo "make all-figures  all ten figures, to the end even if a claim does not hold"
	@echo "make reproduction docs/reproduction.md, results/verdicts.csv and results/report.html, from the committed tables"

setup: $(VENV)/.done

# The constraints pin torch: plain pip then takes the release they name and nothing newer.
$(VENV)/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade-strategy only-if-needed -c constraints.txt -e '.[dev]'
	touch $@

demo: setup
	$(MLPIHT) sweep figure1 --profile smoke --jobs $(JOBS)
	$(MLPIHT) plot figure1 --profile smoke

# A worker for each core, a file of tests in one worker. Plain pytest runs them one after the other.
test: setup
	$(BIN)/python -m pytest -n logical --maxprocesses 8 --dist loadfile

test-all: setup
	$(BIN)/python -m pytest -m ''

# The wheel is built from the source archive, and installed with what it declares and no more.
dist: setup
	rm -rf dist build/installed
	$(BIN)/python -m build --outdir dist .
	$(PYTHON) -m venv build/installed
	build/installed/bin/python -m pip install --quiet -c constraints.txt dist/*.whl
	MLPIHT_INSTALLED=build/installed/bin $(BIN)/python -m pytest tests/packaging

# Single measurements: .venv/bin/python -m benchmarks speed --only 'iht-*'
bench: setup
	$(BIN)/python -m benchmarks all --page docs/performance.md

# -W: a broken link is an error.
docs: setup
	$(BIN)/sphinx-build -q -W --keep-going -b html docs docs/_build
	@echo docs/_build/index.html

pages: setup
	$(BIN)/python docs/generate.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: setup
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

pins: setup
	$(BIN)/python -m tests.contract.pins

# The paper profile takes days: without RUN=yes it shows what the committed tables hold, and lists the cells they lack.
# Exit code 1 of a sweep says that some cells failed or diverged: the figure marks them, and the claims judge them.
$(FIGURES) $(TABLES): setup
ifeq ($(PROFILE) $(filter yes,$(RUN)),paper )
	@$(BIN)/python experiments/show.py $@
else
	$(MLPIHT) sweep $@ --profile $(PROFILE) --out $(OUT) --jobs $(JOBS) $(if $(ONLY),--only '$(ONLY)') || [ $$? -eq 1 ]
	$(MLPIHT) plot $@ --profile $(PROFILE) --out $(OUT) $(if $(ONLY),--partial)
	$(MLPIHT) pictures $@ --profile $(PROFILE) --out $(OUT)
	$(MLPIHT) check $@ --profile $(PROFILE) --out $(OUT) $(if $(ONLY),|| [ $$? -eq 1 ])
endif

# What docs/reproduction.md says of the committed tables (those that git knows), results/verdicts.csv, and the page of all
# tables, results/report.html, which git does not know.
reproduction: setup
	$(BIN)/python experiments/reproduction.py

# Figures 6 to 10 show the cells of 1 to 5, which come first in the list; nothing is run twice.
all-figures: setup
	$(MAKE) --no-print-directory --keep-going $(FIGURES)

tables: setup
	$(MAKE) --no-print-directory --keep-going $(TABLES)

clean:
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist docs/_build *.egg-info
	find . -name '*.nb[ci]' -delete
