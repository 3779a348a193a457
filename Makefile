# Every target but help and clean sets up .venv first.
PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
CONSTRAINTS ?= constraints.txt
WORKERS ?= auto
PYTEST = $(BIN)/python -m pytest
INSTALL = $(BIN)/pip install --constraint $(CONSTRAINTS) --editable

DATASET ?= acdc
SOURCE ?= phantom
PROFILE ?= tour
ARGS ?=
RUN = --dataset $(DATASET) --source $(SOURCE) --profile $(PROFILE) $(ARGS)

.PHONY: help setup reproduce explorer test test-notebooks test-all test-everything format lint notebooks teaching book book-pdf results report bench clean

help: ## list the targets (this text)
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

setup: $(VENV)/.ready ## create .venv with the exact versions of constraints.txt

$(VENV)/.ready: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -m venv $(VENV)
	$(INSTALL) '.[test,download,cluster]'
	touch $@

reproduce: setup ## run the notebooks, leave figures, tables and an index page (DATASET, SOURCE, PROFILE, ARGS)
	$(BIN)/dainet reproduce $(RUN)

explorer: setup ## serve the explorer of notebook 06 as a web page on localhost (same variables)
	$(BIN)/dainet explorer $(RUN)

# One thread for each worker: torch's threads would wait for each other's cores.
test test-all test-everything: export OMP_NUM_THREADS ?= 1

test: setup lint ## check style and types, run the fast tests; minutes, no Debian package
	$(PYTEST) --numprocesses auto --dist worksteal -m "not slow"

test-notebooks: setup ## run the notebooks and compare them with their stored outputs
	$(PYTEST) --nbval --nbval-current-env --nbval-cell-timeout=1800 notebooks

test-all: lint test-everything ## check style, run every test, the slow ones and the notebooks with short trainings included; what .ci/run calls

test-everything: setup book
	$(PYTEST) --numprocesses $(WORKERS) --dist worksteal

format: setup ## mend what ruff can mend, and format
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: setup ## check style, format, spelling and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/codespell
	$(BIN)/mypy

notebooks: setup ## execute the notebooks in place at the tour profile and normalize them, for committing
	$(BIN)/dainet notebooks

teaching: setup ## build slides, handout, votes and answer key into teaching/_build; seconds
	$(BIN)/python -m teaching

book: setup ## build the book (lessons, documentation, live page) as a web site into book/_build/html; a minute
	$(BIN)/python -m book

book-pdf: setup ## print the lessons with their solutions as book/_build/lessons.pdf; a minute, needs Chromium
	$(BIN)/python -m book pdf

results: setup ## rebuild tables and charts of docs/reproduction.md from the committed scores; no data needed
	$(BIN)/python -m study report

report: setup ## typeset docs/reproduction.md as build/reproduction.pdf; seconds
	$(BIN)/python -m study typeset

bench: setup ## measure speed and memory as ratios to named peers into benchmarks/results/; half an hour
	$(INSTALL) '.[test,bench]' --quiet
	$(BIN)/python -m benchmarks $(ARGS)

clean: ## remove runs/, caches and build products; keep data/, figures/ and .venv
	rm -rf runs .snakemake build book/_build teaching/_build *.egg-info .mypy_cache .pytest_cache .ruff_cache
	find benchmarks book dainet data_scripts notebooks study teaching tests -depth \
	    \( -name __pycache__ -o -name .ipynb_checkpoints \) -exec rm -rf {} +
