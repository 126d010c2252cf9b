# One set of commands for people and CI; every target installs what it needs into .venv.
PYTHON ?= python3
BIN := .venv/bin
export OMP_NUM_THREADS ?= 2

.PHONY: demo check test test-slow docs bench fuzz faults fix clean

.venv/.demo: pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[demo]"
	touch $@

.venv/.dev: pyproject.toml
	test -d .venv || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e ".[dev]"
	touch $@

demo: .venv/.demo          ## train a small CNN on real digits, audit it, print the verdict
	$(BIN)/goldcut demo

check: .venv/.dev          ## style, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

test: .venv/.dev           ## everything that CI runs
	$(BIN)/python -m pytest -m "not slow"

test-slow: .venv/.dev      ## effect tests on real training, big zoos
	$(BIN)/python -m pytest -m slow

docs: .venv/.dev           ## build the documentation into site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

bench: .venv/.dev          ## speed and memory, as ratios in one run; write on a quiet machine
	$(BIN)/python -m benchmarks

fuzz: .venv/.dev           ## random damage to requests, for a minute
	$(BIN)/python -m benchmarks.fuzz

faults: .venv/.dev         ## a served half under load: workers killed and stopped, cancels, ten minutes of soak
	$(BIN)/python -m benchmarks.serve
	$(BIN)/python -m benchmarks.faults

fix: .venv/.dev            ## repair style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv site demo-run
