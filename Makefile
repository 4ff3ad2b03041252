# python3 may be any command that runs Python 3.11, 3.12 or 3.13: make setup PYTHON=python3.12
PYTHON ?= python3
BIN := .venv/bin
INSTALLED := .venv/installed
DOCS_INSTALLED := .venv/docs_installed
PYTEST := $(BIN)/python -m pytest --numprocesses=auto --dist=loadfile --no-loadscope-reorder
RUN := runs/sinusoid_5shot_meta_sgd
# Or the path of a buildifier: make buildifier BUILDIFIER=/usr/local/bin/buildifier
BUILDIFIER ?= npx --yes @bazel/buildifier@8.2.1

.PHONY: setup train test test-slow lint site notebook buildifier coverage mutate

setup: $(INSTALLED)

# A failed attempt leaves nothing behind that a second one would take for a whole environment.
$(BIN)/python:
	@version=$$($(PYTHON) --version 2>&1) || version="not there"; \
	$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' \
	  2> /dev/null || { echo "error: metasgd_tf needs Python 3.11, 3.12 or 3.13, and $(PYTHON) is" \
	    "$$version: name another by make setup PYTHON=..." >&2; exit 1; }
	$(PYTHON) -m venv .venv || { rm -rf .venv; exit 1; }

$(INSTALLED): requirements.txt requirements-demo.txt requirements-dev.txt \
    requirements-no-deps.txt pyproject.toml | $(BIN)/python
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

$(DOCS_INSTALLED): requirements-docs.txt $(INSTALLED)
	$(BIN)/python -m pip install --quiet --requirement requirements-docs.txt
	@touch $@

# The pages and the docstrings as one site, build/site/index.html. A warning fails, and so does a
# page that names what is not there.
site: $(DOCS_INSTALLED)
	rm -rf api build/site
	$(BIN)/sphinx-build -q -W --keep-going -c docs/site . build/site

# Runs it, and keeps its new outputs.
notebook: $(DOCS_INSTALLED)
	$(BIN)/python docs/site/run_notebook.py examples/meta_sgd.ipynb

buildifier:
	@$(BUILDIFIER) --version > /dev/null 2>&1 || { echo "error: $(BUILDIFIER): does not run here;" \
	  "install Node.js with npx, or name a buildifier by make buildifier BUILDIFIER=..." >&2; exit 1; }
	$(BUILDIFIER) --mode=check --lint=warn --warnings=all BUILD MODULE.bazel

# Lines and branches that the quick tests run; functions that TensorFlow traces run once, when traced.
coverage: setup
	$(BIN)/python -m pip install --quiet --requirement requirements-coverage.txt
	$(PYTEST) -m "not slow" --cov=metasgd_tf --cov=trainers --cov=models --cov-branch \
	  --cov-report=term --cov-report=json:build/coverage.json

# Hours: every mutant is tried with the tests of its module. MODULES=update_rule,alpha restricts it.
mutate: setup
	$(BIN)/python -m pip install --quiet --requirement requirements-mutate.txt
	$(BIN)/python -m benchmarks.mutants $(if $(MODULES),--modules=$(MODULES))
