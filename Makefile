# python3 may be any command that runs Python 3.11, 3.12 or 3.13: make setup PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder
RUN := runs/sinusoid_5shot_meta_sgd

.PHONY: setup train test test-slow lint coverage mutate

setup: $(INSTALLED)

# A failed attempt leaves nothing behind that a second one would take for a whole environment.
$(BIN)/python:
	@version=$$($(PYTHON) --version 2>&1) || version="not there"; \
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  2> /dev/null || { echo "error: metasgd_tf needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is" \
	    "$$version: name another by make setup PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

$(INSTALLED): requirements.txt requirements-dev.txt requirements-no-deps.txt pyproject.toml \
    | $(BIN)/python
	$(BIN)/python -m pip install --quiet --requirement requirements-dev.txt
	$(BIN)/python -m pip install --quiet --no-deps --requirement requirements-no-deps.txt
	$(BIN)/python -m pip install --quiet --no-deps --editable .
	@touch $@

train: setup
	$(BIN)/python -m metasgd_tf.train --flagfile=configs/sinusoid_5shot_meta_sgd.flags \
	  --model_dir=$(RUN)
	$(BIN)/python -m metasgd_tf.evaluate --model_dir=$(RUN)
	$(BIN)/python -m metasgd_tf.plot --model_dirs=$(RUN) --output=$(RUN)/fits.png

test: setup
	$(PYTEST) -m "not slow"

test-slow: setup
	$(PYTEST) -m slow

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Lines and branches that the quick tests run; functions that TensorFlow traces run once, when traced.
coverage: setup
	$(BIN)/python -m pip install --quiet --requirement requirements-coverage.txt
	$(PYTEST) -m "not slow" --cov=metasgd_tf --cov=trainers --cov=models --cov-branch \
	  --cov-report=term --cov-report=json:build/coverage.json

# Hours: every mutant is tried with the tests of its module. MODULES=update_rule,alpha restricts it.
mutate: setup
	$(BIN)/python -m pip install --quiet --requirement requirements-mutate.txt
	$(BIN)/python -m benchmarks.mutants $(if $(MODULES),--modules=$(MODULES))
