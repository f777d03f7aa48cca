# `make demo` shows what stockctl does, `make test` proves it. Both set up what they need.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

BIN := .venv/bin
STAMP := .venv/.installed
WORKERS ?= 4
# how many failed tests may be repeated, alone: docs/testing.md
AGAIN ?= 0

.PHONY: help setup demo test campaign check docs lock bench testbed image clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(STAMP) ## the virtual environment, from the hashes in requirements-dev.txt

$(STAMP): requirements-dev.txt pyproject.toml
	@tests/testbed/python.sh
	@echo "== setup: installing the pinned packages into .venv (a minute on a new machine)"
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r requirements-dev.txt
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

testbed: $(STAMP) ## a Docker engine with Compose and the images for the tests; root on Debian where it has to install
	@tests/testbed/up.sh

demo: $(STAMP) ## the main job on real parts, as a story
	@examples/demo.sh

check: $(STAMP) ## format, lint, types, layers, generated pages, unit tests; under a minute
	@$(BIN)/ruff format --check --quiet . || { echo "run: ruff format ."; exit 1; }
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo 2>/dev/null || $(BIN)/lint-imports
	@$(BIN)/python docs/generate.py --check
	@base=$$(mktemp -d); trap 'rm -rf "$$base"' EXIT; $(BIN)/pytest -q -n auto --basetemp="$$base" tests/unit

test: $(STAMP) ## everything, on a real engine and real servers, with coverage
	@tests/testbed/up.sh || { echo "make test needs a Docker engine with Compose: $$(docker version 2>&1 | tail -1)" >&2; exit 1; }
	@rm -f .coverage .coverage.* .pytest_cache/v/cache/lastfailed
	@base=$$(mktemp -d); trap 'rm -rf "$$base"' EXIT; \
	  $(BIN)/pytest -n $(WORKERS) --dist worksteal --basetemp="$$base" --cov --cov-report=term tests \
	  || $(BIN)/python tests/again.py $$? $(AGAIN)

campaign: $(STAMP) ## kills and faults at every step, exhaustively; takes long
	@tests/testbed/up.sh
	@base=$$(mktemp -d); trap 'rm -rf "$$base"' EXIT; $(BIN)/pytest -q -m campaign --basetemp="$$base" tests

image: $(STAMP) build/wheels/.lock ## the image of `backup schedule --via compose`, tagged with the version
	@$(BIN)/python -m hatchling build -t wheel -d build/wheel >/dev/null
	@printf 'services:\n  image:\n    image: "stockctl:%s"\n    build: "%s"\n' "$$($(BIN)/python -c 'import stockctl; print(stockctl.__version__)')" "$(CURDIR)" \
	  | docker compose --project-name stockctl-image --progress plain --file - build

build/wheels/.lock: requirements.txt
	@rm -rf build/wheels build/wheel
	@$(BIN)/python -m pip download -qq --disable-pip-version-check --require-hashes --no-deps --only-binary :all: \
	  --python-version 3.11 -d build/wheels -r requirements.txt
	@cp requirements.txt $@

bench: $(STAMP) ## figures, as ratios against a named baseline in one run
	@for file in benchmarks/*.py; do $(BIN)/python $$file; done

docs: $(STAMP) ## write the generated pages
	@$(BIN)/python docs/generate.py

lock: $(STAMP) ## pin the newest packages that pyproject.toml allows
	@uv pip compile pyproject.toml --group dev --universal --upgrade --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --quiet -o requirements-dev.txt
	@uv pip compile pyproject.toml --constraint requirements-dev.txt --universal --generate-hashes \
	  --no-emit-index-url --no-header --no-annotate --quiet -o requirements.txt

clean: ## stop what the test bed started, remove what the build made; images and packages stay
	@tests/testbed/down.sh || true
	@rm -rf .venv .testbed build .coverage .coverage.* .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
