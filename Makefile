PYTHON ?= python3.11
BIN := .venv/bin
INSTALL := $(BIN)/python -m uv pip install --quiet --system-certs --python $(BIN)/python

# Where Go's installer puts it: engines and providers are built with it.
export PATH := $(PATH):/usr/local/go/bin
# Images of Python often say this; every command would compile Beam and Great Expectations anew.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help setup setup-dev demo test bench lint lock clean

help: ## What there is to make
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: .venv/base ## Install what nights and micro-batches need, into .venv
setup-dev: .venv/dev ## Install what tests and benchmarks need as well

demo: .venv/base ## Three nights of 200 stores with known faults, and the proof
	@$(BIN)/isopach demo --to demo

test: .venv/dev ## Run all tests that this machine can run
	$(BIN)/python -m pytest --numprocesses 3 --dist worksteal $(ARGS)

bench: .venv/dev ## The same night by Isopach and its peers; writes bench/RESULTS.md
	$(BIN)/python -m bench all

lint: .venv/dev ## Ruff and mypy
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

lock: .venv/dev ## Resolve the requirements anew
	for extra in base dev; do $(BIN)/python -m uv pip compile --quiet --system-certs pyproject.toml --extra report \
		$$([ $$extra = dev ] && echo --extra dev --constraint requirements/base.lock) \
		--python-version 3.11 --universal --generate-hashes --no-emit-index-url --no-header \
		--upgrade --output-file requirements/$$extra.lock; done

clean: ## Remove the environment, the demo and what benchmarks left
	rm -rf .venv demo .bench build *.egg-info

.venv/bin/uv:
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or make PYTHON=…" >&2; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check "uv>=0.13"

.venv/base: requirements/base.lock pyproject.toml | .venv/bin/uv
	$(INSTALL) --require-hashes -r requirements/base.lock
	$(INSTALL) --no-deps --editable .
	@touch $@

.venv/dev: requirements/dev.lock .venv/base
	$(INSTALL) --require-hashes -r requirements/dev.lock
	@touch $@
