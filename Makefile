# `make run` serves Tickbase, `make test` checks it. Both install what they need into .venv.
NEW_ENOUGH := import sys; sys.exit(sys.version_info < (3, 11))
# The first that will do: some systems have a newer one beside an old python3.
PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c '$(NEW_ENOUGH)' 2>/dev/null && { echo $$python; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# uv takes seconds, where there is one. The pinned files name all that is needed, so nothing has to be resolved; what is
# used is compiled when it is first imported.
UV := $(shell command -v uv 2>/dev/null)
ifdef UV
INSTALLER := uv
MAKE_VENV = $(UV) venv --quiet --seed --python "$$(command -v $(PYTHON))" $(VENV)
INSTALL = $(UV) pip install --quiet --python $(BIN)/python --no-deps
else
INSTALLER := pip
MAKE_VENV = $(PYTHON) -m venv $(VENV)
INSTALL = $(BIN)/pip install --quiet --no-deps --no-compile
endif

# A Python that was upgraded away takes its virtual environment along.
ifneq ($(wildcard $(VENV)/.made),)
ifneq ($(shell $(BIN)/python -c 'print(1)' 2>/dev/null),1)
$(shell rm -rf $(VENV))
endif
endif

.PHONY: run test test-all fuzz lint schema soak chaos bench bench-quick requirements clean help
.DEFAULT_GOAL := run

run: $(VENV)/.installed ## Migrate and serve on 127.0.0.1:$PORT (8000)
	@$(BIN)/python manage.py serve --migrate

test: lint ## Lint, types, layering, and the tests that need little time and no program beside PostgreSQL
	@# One process more than processors: for a fifth of its time, a test waits for PostgreSQL.
	PYTEST_XDIST_AUTO_NUM_WORKERS=$$(( $$(getconf _NPROCESSORS_ONLN) + 1 )) \
		$(BIN)/pytest -m "not process and not thorough" --dist worksteal $(ARGS)

test-all: lint ## The same with every test, also long ones and those of servers and other programs: what CI runs
	$(BIN)/pytest $(ARGS)

fuzz: $(VENV)/.installed-dev ## Look for longer, and with new requests, for what breaks the API
	$(BIN)/pytest -n 0 -s --hypothesis-profile=fuzz tests/fuzz tests/tasks/test_model.py $(ARGS)

lint: $(VENV)/.installed-dev ## Ruff, mypy, import-linter, bandit
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	DATABASE_URL=postgresql://types@need/no-database $(BIN)/mypy .
	$(BIN)/lint-imports
	$(BIN)/bandit --quiet --recursive -ll config users tasks manage.py

chaos: $(VENV)/.installed-dev ## Kill, freeze and fill up; a table of what is lost and when it is back
	@$(BIN)/python -m tests.chaos $(ARGS)

schema: $(VENV)/.installed ## Write docs/openapi.yaml from the code
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

soak: $(VENV)/.installed-dev ## 30 s of mixed writes by 16 clients, with and without deadlocks made on purpose
	$(BIN)/python -m tests.soak
	$(BIN)/python -m tests.soak --rival

bench: $(VENV)/.installed-dev .venv-bench/.installed ## Tickbase beside FastAPI, plain DRF and PocketBase: a table, docs/benchmarks.json and .svg
	@$(BIN)/python -m tests.benchmarks.run $(ARGS)

bench-quick: $(VENV)/.installed-dev .venv-bench/.installed ## The same within three minutes, for the terminal alone
	@$(BIN)/python -m tests.benchmarks.run --quick $(ARGS)

requirements: $(VENV)/.installed-dev ## Pin requirements*.txt again from pyproject.toml
	$(INSTALL) uv
	$(BIN)/uv pip compile --quiet --no-header --upgrade --universal --no-emit-index-url pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --no-header --upgrade --universal --no-emit-index-url pyproject.toml --extra dev -c requirements.txt -o requirements-dev.txt

help: ## What make can do here
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | sort

clean: ## Remove the virtual environment and caches, not the data
	rm -rf $(VENV) .venv-bench tests/clients/*/node_modules .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

# The stamps are made last: what was interrupted begins anew.
$(VENV)/.made:
	@test -n "$(PYTHON)" && $(PYTHON) -c '$(NEW_ENOUGH)' || \
		{ echo "Tickbase needs Python 3.11 or newer; if it is not in PATH: make PYTHON=/where/it/is/python3" >&2; exit 1; }
	@rm -rf $(VENV)
	@$(MAKE_VENV) || \
		{ rm -rf $(VENV); echo "Python has no venv module; on Debian and Ubuntu: apt install python3-venv" >&2; exit 1; }
	@touch $@

$(VENV)/.installed: requirements.txt $(VENV)/.made
	@echo "Installing what Tickbase needs into $(VENV), with $(INSTALLER); the first time alone."
	@$(INSTALL) -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	@$(INSTALL) -r requirements-dev.txt
	@touch $@

# What the peers need shall neither mix with what Tickbase needs nor be in its users' way. PocketBase's program is not
# there for every machine; the benchmark says so, and goes on.
.venv-bench/.installed: tests/benchmarks/peers/requirements.txt tests/benchmarks/peers/requirements-pocketbase.txt $(VENV)/.made
	@echo "Installing the benchmark's peers into .venv-bench ..."
	@rm -rf .venv-bench
	@$(BIN)/python -m venv .venv-bench
	@.venv-bench/bin/pip install --quiet -r tests/benchmarks/peers/requirements.txt
	@.venv-bench/bin/pip install --quiet -r tests/benchmarks/peers/requirements-pocketbase.txt 2>/dev/null || true
	@touch $@
