# Two commands set everything up on a machine with Python (3.11 or newer) and git:
#   make up     install and start the service; Ctrl-C stops it, the next `make up` continues
#   make test   install and run every check
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

.PHONY: up test check setup demo bench soak fuzz docs clean

# Settings go by environment: `make up POOLWRIGHT_PORT=9000`.
up: setup
	@$(BIN)/poolwright up; code=$$?; [ $$code -eq 130 ] || exit $$code

test: $(VENV)/.dev
	@$(BIN)/python tools/test_groups.py

check: $(VENV)/.dev
	@$(BIN)/python tools/test_groups.py --quick

demo: setup
	@$(BIN)/python tools/demo.py

bench: $(VENV)/.bench
	@$(BIN)/python -m bench

# Other options go by name: `make soak SOAK="--minutes 2 --seed 7 --output json"`.
soak: setup
	@$(BIN)/python -m bench.soak $(SOAK)

# 20 000 requests made from the OpenAPI description; FUZZ="--requests 2000 --seed 7" changes that.
fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.fuzzing $(FUZZ)

docs: $(VENV)/.dev
	@$(BIN)/python tools/compatibility.py
	@$(BIN)/python tools/schemas.py

setup: $(VENV)/.runtime

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Poolwright needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Try: make PYTHON=python3.12 $(MAKECMDGOALS)" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)

# An editable install: the checkout is the product, also after a pull.
$(VENV)/.runtime: requirements/runtime.lock pyproject.toml | $(VENV)/bin/python
	@echo "installing Poolwright ..."
	@$(PIP) install --quiet --require-hashes -r requirements/runtime.lock
	@$(PIP) install --quiet --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	@echo "installing the tools of the checks ..."
	@$(PIP) install --quiet --require-hashes -r requirements/dev.lock
	@touch $@

$(VENV)/.bench: requirements/bench.lock $(VENV)/.runtime
	@echo "installing the peers of the benchmark ..."
	@$(PYTHON) -m venv .bench-venv
	@.bench-venv/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/bench.lock
	@touch $@

clean:
	rm -rf $(VENV) .bench-venv
