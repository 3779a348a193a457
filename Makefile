# Two commands: `make reproduce` and `make test`. Both set up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin

DATASET ?= acdc
SOURCE ?= phantom
PROFILE ?= tour
ARGS ?=

.PHONY: setup reproduce explorer test check-units check-notebooks check-workflow lint notebooks results bench clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --constraint constraints.txt --editable '.[test,download,cluster]'
	touch $@

reproduce: setup
	$(BIN)/python -m dainet reproduce --dataset $(DATASET) --source $(SOURCE) --profile $(PROFILE) $(ARGS)

# The explorer of notebook 06 as a web page on localhost.
explorer: setup
	$(BIN)/python -m dainet explorer --dataset $(DATASET) --source $(SOURCE) --profile $(PROFILE) $(ARGS)

test: check-units check-notebooks check-workflow

check-units: setup lint
	$(BIN)/python -m pytest --ignore tests/end_to_end/test_workflow.py

check-notebooks: setup lint
	$(BIN)/python -m pytest --nbval --nbval-current-env --nbval-cell-timeout=600 notebooks

check-workflow: setup lint
	$(BIN)/python -m pytest tests/end_to_end/test_workflow.py

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# Executes the notebooks in place at the tour profile and normalizes them; commit the result.
notebooks: setup
	$(BIN)/python -m dainet notebooks

# Tables and charts of docs/reproduction.md anew from the committed scores of the study; seconds, no data needed.
results: setup
	$(BIN)/python -m study report

# Speed and memory as ratios beside named peers; about half an hour on 2 cores. Written to benchmarks/results/.
bench: setup
	$(BIN)/pip install --quiet --constraint constraints.txt --editable '.[test,bench]'
	$(BIN)/python -m benchmarks $(ARGS)

clean:
	rm -rf runs .snakemake
