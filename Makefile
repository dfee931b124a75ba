# Two commands set everything up on a machine with Python (3.11 or newer) and git:
#   make up     install and start the service; Ctrl-C stops it, the next `make up` continues
#   make test   install and run every check
# ENGINE=local has `make setup`, `make up` and `make demo` install what real machines need as well.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check
ENGINE ?=
# What an engine needs beside Poolwright itself.
ENGINE_SETUP := $(if $(filter local auto,$(ENGINE)),$(VENV)/.local)
ifneq ($(ENGINE),)
export POOLWRIGHT_ENGINE := $(ENGINE)
endif

.PHONY: up test check setup demo bench soak fuzz terraform docs clean

# Settings go by environment: `make up POOLWRIGHT_PORT=9000`. Make ends its own child on SIGTERM, and no other process, so
# the service has to be that child. Ctrl-C and a terminal that closes reach make and the service alike.
up: setup
	@exec $(BIN)/poolwright up

# Real machines are tested wherever they can be installed; with CI=true the tests fail where they cannot.
test: $(VENV)/.dev
	@$(MAKE) --no-print-directory $(VENV)/.local || echo "real machines are not tested here" >&2
	@$(MAKE) --no-print-directory $(VENV)/.browser || echo "pages are not tested here" >&2
	@$(BIN)/python tools/test_groups.py

check: $(VENV)/.dev
	@$(BIN)/python tools/test_groups.py --quick

demo: setup
	@$(BIN)/python tools/demo.py

# Both speak to the service with the client of the tests. ENGINE=local measures real machines against bare QEMU.
bench: $(VENV)/.dev $(if $(ENGINE_SETUP),$(ENGINE_SETUP),$(VENV)/.bench)
	@$(BIN)/python -m bench$(if $(filter local,$(ENGINE)),.real)

# Other options go by name: `make soak SOAK="--minutes 2 --seed 7 --output json"`.
soak: $(VENV)/.dev
	@$(BIN)/python -m bench.soak $(SOAK)

# 20 000 requests made from the OpenAPI description; FUZZ="--requests 2000 --seed 7" changes that.
fuzz: $(VENV)/.dev
	@$(BIN)/python -m tests.fuzzing $(FUZZ)

# Terraform's azurerm against a service, for those who have both (docs/clients.md).
terraform: $(VENV)/.dev
	@$(BIN)/python -m pytest -q tests/terraform

docs: $(VENV)/.dev
	@$(BIN)/python tools/compatibility.py
	@$(BIN)/python tools/schemas.py

setup: $(VENV)/.runtime $(ENGINE_SETUP)

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

$(VENV)/.local: requirements/local.lock $(VENV)/.runtime
	@$(BIN)/poolwright host install
	@echo "compiling the binding to libvirt ..."
	@$(PIP) install --quiet --no-deps --no-build-isolation --require-hashes -r requirements/local.lock
	@touch $@

$(VENV)/.dev: requirements/dev.lock $(VENV)/.runtime
	@echo "installing the tools of the checks ..."
	@$(PIP) install --quiet --require-hashes -r requirements/dev.lock
	@touch $@

# The browser that tests pages, from the host's packages; `make test` skips those tests where there is none.
$(VENV)/.browser: $(VENV)/.dev
	@command -v chromium >/dev/null || { echo "installing chromium ..."; apt-get -qq update && apt-get -qq install -y --no-install-recommends chromium >/dev/null; }
	@touch $@

$(VENV)/.bench: requirements/bench.lock $(VENV)/.runtime
	@echo "installing the peers of the benchmark ..."
	@$(PYTHON) -m venv .bench-venv
	@.bench-venv/bin/python -m pip --disable-pip-version-check install --quiet --require-hashes -r requirements/bench.lock
	@touch $@

clean:
	rm -rf $(VENV) .bench-venv
