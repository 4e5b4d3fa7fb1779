# Everything needs only Python 3.11+, git and make; .venv is made from constraints.txt.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-slow variants check bench docs clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## */\t/' | expand -t 14

install: $(VENV)/.installed  ## make .venv from constraints.txt

$(VENV)/.installed: pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; try: make PYTHON=python3.12 $(MAKECMDGOALS)"; exit 2; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: install  ## a real photo to an evaluated 3D Gaussian scene, through every stage
	lyra-data check-params
	dvc repro
	@echo "Open outputs/scenes/motorcycle/scene.html in a browser: the scene to turn."
	@echo "What was measured is in reports/report.html."

# A module of tests stays in one process, and long pipelines begin first. Compiled test modules are
# kept, whatever the shell says: they take half a minute to make.
PYTEST = PYTHONDONTWRITEBYTECODE= OMP_NUM_THREADS=1 python -m pytest -n 2 --dist loadscope --no-loadscope-reorder

test: install  ## the tests, but for the slow ones
	$(PYTEST) -m "not slow"

test-slow: install  ## the slow tests
	$(PYTEST) -m slow

variants: install  ## numeric tests and golden files, computed as other processors do
	python -m tests.variants

check: install  ## format, lint, types and layers
	ruff format --check .
	ruff check .
	lint-imports --no-cache
	pyright

bench: install  ## every benchmark, ratios side by side
	@for file in benchmarks/[a-z]*.py; do name=$$(basename $$file .py); echo "== $$name"; python -m benchmarks.$$name; done

docs: install  ## write docs/params.md, docs/schema.md and the code in dvc.yaml
	python -m stages.reference

clean:  ## remove results and scratch, keep .venv
	git clean -qfdX outputs reports .work
	rm -f reports/evaluation.json reports/metrics.json
