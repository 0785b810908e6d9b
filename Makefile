# The one way to run things, for people and CI alike.
PORT ?= 8000
FRONT ?=
VENV := .venv
BIN := $(VENV)/bin
# A pyenv shim may be on PATH for a uv or a Python that does not run: only one that runs counts.
UV := $(shell uv --version >/dev/null 2>&1 && command -v uv)
PYTHON ?= $(shell for python in python3 python3.13 python3.12 python3.11 python3.10; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 10))' 2>/dev/null \
	&& echo $$python && break; done)

.PHONY: demo venv lint test test-all test-ci bench system-packages clean

# A node on .demo/ and a site with avatars on it: make demo PORT=8000 FRONT=perlbal
demo: $(VENV)/.demo
	@$(BIN)/python -m demo --port $(PORT) $(if $(FRONT),--front $(FRONT))

venv: $(VENV)/.dev

# Editable installs: what the demo needs, and what tests and linters need too.
$(VENV)/.demo $(VENV)/.dev $(VENV)/.bench: $(VENV)/.%: pyproject.toml
ifdef UV
	@uv venv --quiet --allow-existing --python "$(or $(PYTHON),3.10)" $(VENV)
	@uv pip install --quiet --python $(BIN)/python --group $* -e .
else
	@test -n "$(PYTHON)" || { echo "Python 3.10 or newer is needed" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade pip
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --group $* -e .
endif
	@touch $@

lint: venv
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

test: venv system-packages
	$(BIN)/python -X dev -m pytest $(ARGS)

# Every pair of Python and Django that Django supports, on the interpreters found.
test-all: venv system-packages
	$(BIN)/nox --session tests -- $(ARGS)

# One pair for each of Django's long-lived lines: what CI runs beside `make test`.
test-ci: venv system-packages
	$(BIN)/nox --session tests --tags ci -- $(ARGS)

# This project beside what one would pick instead, on this machine: docs/performance.md.
# make bench ARGS="--tracker HOST:PORT --domain NAME"
# Printed only, and not written down: ARGS="--quick", ARGS="clients door"
bench: $(VENV)/.bench .bench/peers/.ready
	@$(BIN)/python -m benchmarks --page docs/performance.md $(ARGS)

# pymogilefs and what it needs, apart from all that is ours.
.bench/peers/.ready:
	@$(BIN)/python -m venv .bench/peers
	@.bench/peers/bin/python -m pip install --quiet --disable-pip-version-check pymogilefs==0.1.2 \
	|| { rm -rf .bench/peers; mkdir -p .bench/peers; \
	echo "pymogilefs is not to be had here: it takes no part" >&2; }
	@touch $@

system-packages:
	@tests/install-system-packages

clean:
	rm -rf $(VENV) .nox .demo .bench build dist
