# make quickstart: the main job on real data, from nothing.   make test: the whole suite, from nothing.
# Needs Python 3.11 or newer, make and git. Everything is installed into .venv.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NUMBA_CACHE_DIR ?= $(CURDIR)/$(VENV)/numba
export NUMBA_CACHE_DIR
# threads that wait without spinning: spinning costs tenfold where other work shares the cores
OMP_WAIT_POLICY ?= PASSIVE
export OMP_WAIT_POLICY

.PHONY: quickstart test check docs bench bench-rivals bench-rockets clean

quickstart: $(VENV)/installed
	$(BIN)/ssmemory run frozen-vs-learned --size quick --out out/quickstart
	@echo "open out/quickstart/index.html in a browser; the numbers are in out/quickstart/results.json"

test: $(VENV)/installed-dev
	$(BIN)/pytest -q

check: $(VENV)/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

docs: $(VENV)/installed-dev
	$(BIN)/sphinx-build -W --keep-going -q -b html docs out/docs
	@echo "open out/docs/index.html in a browser"

bench: $(VENV)/installed-dev
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/s4d.py
	$(BIN)/python benchmarks/design.py
	$(BIN)/python benchmarks/forecasting.py
	$(BIN)/python benchmarks/sequential_images.py
	$(BIN)/python benchmarks/windows.py

bench-rivals: .venv-bench/installed
	.venv-bench/bin/python benchmarks/rivals.py
	.venv-bench/bin/python benchmarks/estimator_rivals.py
	.venv-bench/bin/python benchmarks/layers.py

bench-rockets: .venv-aeon/installed
	NUMBA_CACHE_DIR=$(CURDIR)/.venv-aeon/numba .venv-aeon/bin/python benchmarks/rockets.py
	NUMBA_CACHE_DIR=$(CURDIR)/.venv-aeon/numba .venv-aeon/bin/python benchmarks/rockets.py --others

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install -q --disable-pip-version-check -e ".[all]" -c constraints.txt
	touch $@

$(VENV)/installed-dev: pyproject.toml constraints.txt | $(VENV)/bin/python
	$(BIN)/pip install -q --disable-pip-version-check -e ".[dev]" -c constraints.txt
	touch $(VENV)/installed $@

.venv-bench/installed: pyproject.toml benchmarks/rivals_constraints.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/pip install -q --disable-pip-version-check -e . reservoirpy rcbench s5-pytorch mpmath threadpoolctl -c benchmarks/rivals_constraints.txt
	touch $@

.venv-aeon/installed: pyproject.toml benchmarks/rockets_constraints.txt
	$(PYTHON) -m venv .venv-aeon
	.venv-aeon/bin/pip install -q --disable-pip-version-check -e ".[fit]" aeon -c benchmarks/rockets_constraints.txt
	touch $@

clean:
	rm -rf $(VENV) .venv-bench .venv-aeon out
