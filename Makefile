# Accord. Every target sets up what it needs in $(VENV); a second call installs nothing and works offline.
PYTHON ?= python3
VENV ?= .venv
# Both cores are shared: two workers, one thread each.
WORKERS ?= 2
# More arguments for the command behind a target: make test ARGS="tests/shape -x", make demo ARGS="--quiet"
ARGS ?=
BENCH ?= bench/kill.py bench/threads.py bench/attention.py bench/engine.py
BIN := $(VENV)/bin
SETUP := tools/environment.py
DOCS := README.md $(wildcard docs/*.md docs/methods/*.md)
COGGED = $(shell grep -l '^<!-- *\[\[\[cog' $(DOCS) 2>/dev/null)

.DEFAULT_GOAL := help
.NOTPARALLEL:
.DELETE_ON_ERROR:
.PHONY: help demo test check fix bench evidence evidence-feedback evidence-stewardship studies docs wheel constraints clean

help:
	@echo "make demo               align a small real model the whole way, watch it, keep it, write a report (first call: installs, downloads)"
	@echo "make test               all tests"
	@echo "make check              ruff, format, pyright, import-linter, cog; changes nothing"
	@echo "make fix                ruff and cog, applied"
	@echo "make bench              the longer measurements in bench/"
	@echo "make evidence           what the guard finds and leaves alone, measured; writes docs/evidence.md"
	@echo "make evidence-feedback  what judgments say and what is kept of them, measured; the same page"
	@echo "make evidence-stewardship  what stewarding and keeping hold to, measured; the same page"
	@echo "make studies            every study of the first wave: what each came to, and its minutes"
	@echo "make docs               links, claims, examples and generated parts of the documentation"
	@echo "make wheel              dist/accord-….whl"
	@echo "make constraints        renew the pins in constraints.txt"
	@echo "make clean              remove $(VENV) and what was built"

demo: $(VENV)/.train
	@$(BIN)/accord demo $(ARGS)

test: $(VENV)/.dev
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false \
	  $(BIN)/python -m pytest -n $(WORKERS) --dist worksteal $(ARGS)

check: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/pyright --pythonpath $(BIN)/python
	$(BIN)/lint-imports --no-cache
	$(if $(COGGED),$(BIN)/cog --check --diff $(COGGED))

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(if $(COGGED),$(BIN)/cog -r $(COGGED))

bench: $(VENV)/.dev
	@test -n "$(strip $(BENCH))" || { echo "No bench matches BENCH=$(BENCH)"; exit 1; }
	@set -e; for file in $(BENCH); do echo "== $$file"; $(BIN)/python $$file $(ARGS); done

evidence: $(VENV)/.dev
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python bench/evidence.py $(ARGS)

evidence-feedback: $(VENV)/.dev
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python bench/evidence_feedback.py $(ARGS)

evidence-stewardship: $(VENV)/.dev
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python bench/evidence_stewardship.py $(ARGS)

studies: $(VENV)/.dev
	@OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 TOKENIZERS_PARALLELISM=false $(BIN)/python bench/studies.py $(ARGS)

docs: $(VENV)/.dev
	$(if $(COGGED),$(BIN)/cog --check --diff $(COGGED))
	@$(BIN)/python -m pytest tests/shape/test_docs.py tests/shape/test_extending.py $(ARGS)

wheel: $(VENV)/.light
	@rm -rf build dist
	@$(BIN)/python -m pip wheel . --quiet --no-deps --no-build-isolation --wheel-dir dist
	@rm -rf build
	@ls dist/*.whl

constraints: $(VENV)/.dev
	@tools/renew-constraints "$(PYTHON)"

clean:
	rm -rf $(VENV) build dist .pytest_cache .ruff_cache .hypothesis .import_linter_cache

$(VENV)/.light: pyproject.toml constraints.txt $(SETUP)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Accord needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version 2>&1). Name another one: make PYTHON=python3.12 …"; exit 1; }
	@$(PYTHON) $(SETUP) light --venv $(VENV)

$(VENV)/.train: $(VENV)/.light
	@$(PYTHON) $(SETUP) train --venv $(VENV)

$(VENV)/.dev: $(VENV)/.train
	@$(PYTHON) $(SETUP) dev --venv $(VENV)
