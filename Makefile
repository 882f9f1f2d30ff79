# `make` lists the targets.  They run in $(VENV), which `make setup` creates.
PYTHON ?= python3
VENV ?= .venv
WORKERS ?= 2
EXTRAS ?= openmmlab,quickstart,dev
TESTS ?= tests

# The maintained forks of mmengine, mmcv and mmdet have the same import names,
# so they need an environment of their own.
FORKS ?= .venv-forks
FORK_TESTS := tests/test_compat tests/test_models/test_composite.py \
    tests/test_models/test_inferencer.py tests/test_pretrained/test_safe_timm.py \
    tests/test_commands/test_unsafe_checkpoints.py \
    tests/test_commands/test_train_and_test.py

# DONE marks a complete installation, BUSY one that has not finished.
DONE := $(VENV)/.cbnet-installed
BUSY := $(VENV)/.cbnet-installing
BIN := $(VENV)/bin

.DEFAULT_GOAL := help
.PHONY: help setup quickstart test test-forks members detectors extensions \
    lint clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' \
	    $(MAKEFILE_LIST)
	@echo "  VENV=DIR puts the environment elsewhere (now $(VENV));"
	@echo "  PYTHON=COMMAND creates it with another Python (now $(PYTHON))."

setup: $(DONE)  ## create the environment, or bring it up to date

quickstart: $(DONE)  ## train, evaluate and draw the example
	$(BIN)/cbnet quickstart

test: $(DONE)  ## run the tests
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest $(TESTS) \
	    --numprocesses=$(WORKERS) --dist=loadfile --no-loadscope-reorder \
	    --durations=15

test-forks:  ## run a part of the tests with the maintained forks
	$(MAKE) test VENV=$(FORKS) EXTRAS=forks,dev TESTS='$(FORK_TESTS)'

members: $(DONE)  ## try every listed backbone as a member; write docs/members.md
	CBNET_MEMBERS=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
	    --numprocesses=$(WORKERS) --dist=load --durations=15 \
	    tests/test_models/test_served_members.py
	$(BIN)/python -m tests.test_models.served_members

detectors: $(DONE)  ## try every listed detector of mmdet; write docs/detectors.md
	CBNET_DETECTORS=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
	    --numprocesses=$(WORKERS) --dist=load --durations=15 \
	    tests/test_models/test_served_detectors.py
	$(BIN)/python -m tests.test_models.served_detectors

extensions: $(DONE)  ## try a step and an evaluation of configs/extensions
	CBNET_EXTENSIONS=small OMP_NUM_THREADS=1 $(BIN)/python -m pytest \
	    --numprocesses=$(WORKERS) --dist=load --durations=15 \
	    tests/test_configs/test_extension_runs.py
	$(BIN)/python -m tests.test_configs.extension_runs

lint: $(DONE)  ## check style, formatting and the layers of imports
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/lint-imports --no-cache

clean:  ## remove the files of builds and tests; keep $(VENV)
	rm -rf build dist cbnet.egg-info .pytest_cache .ruff_cache
	find cbnet configs tests tools -name __pycache__ -prune -exec rm -rf {} +

# An interrupted pip leaves half a package and later takes it for complete.
# Therefore an unfinished environment is removed and made again; pip keeps
# its downloads.  Only folders that this rule has made are ever removed.
$(DONE): setup.py constraints.txt cbnet/version.py
	@$(PYTHON) -c '' 2>/dev/null || { \
	    echo "make setup: '$(PYTHON)' does not run; name a Python >= 3.10:" \
	        "make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { \
	    echo "make setup: $$($(PYTHON) --version) is too old; name a" \
	        "Python >= 3.10: make setup PYTHON=python3.11" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { \
	    echo "make setup: '$(PYTHON)' lacks the venv module; install it" \
	        "(Debian, Ubuntu: apt-get install python3-venv)" >&2; exit 1; }
	@if [ -e "$(BUSY)" ]; then \
	    echo "make setup: starting again after an interruption"; \
	    rm -rf "$(VENV)"; \
	elif [ ! -e "$(VENV)/pyvenv.cfg" ] && \
	        [ -n "$$(ls -A "$(VENV)" 2>/dev/null)" ]; then \
	    echo "make setup: $(VENV) is not empty and not a virtual" \
	        "environment; name another place: make setup VENV=DIR" >&2; \
	    exit 1; \
	fi
	@if [ ! -e "$(VENV)/pyvenv.cfg" ]; then \
	    mkdir -p "$(VENV)" && touch "$(BUSY)" && \
	    $(PYTHON) -m venv "$(VENV)"; \
	fi
	$(BIN)/python -m pip install --disable-pip-version-check \
	    -c constraints.txt -e '.[$(EXTRAS)]'
	@rm -f "$(BUSY)" && touch "$(DONE)"
	@echo "make setup: $(VENV) is ready"
