# `make run` serves Tickbase, `make test` checks all of it. Both install what they need into .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.PHONY: run test lint schema requirements clean
.DEFAULT_GOAL := run

run: $(VENV)/.installed ## Migrate and serve on 127.0.0.1:$PORT (8000)
	@$(BIN)/python manage.py serve --migrate

test: lint ## Lint, types, layering and the whole suite on a real PostgreSQL
	$(BIN)/pytest $(ARGS)

lint: $(VENV)/.installed-dev ## Ruff, mypy, import-linter
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy .
	$(BIN)/lint-imports

schema: $(VENV)/.installed ## Write docs/openapi.yaml from the code
	$(BIN)/python manage.py spectacular --validate --fail-on-warn --file docs/openapi.yaml

requirements: $(VENV)/.installed-dev ## Pin requirements*.txt again from pyproject.toml
	$(BIN)/pip install --quiet uv
	$(BIN)/uv pip compile --quiet --upgrade --universal --no-emit-index-url pyproject.toml -o requirements.txt
	$(BIN)/uv pip compile --quiet --upgrade --universal --no-emit-index-url pyproject.toml --extra dev -c requirements.txt -o requirements-dev.txt

clean: ## Remove the virtual environment and caches, not the data
	rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .import_linter_cache

$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Tickbase needs Python 3.11 or newer; try: make $(MAKECMDGOALS) PYTHON=python3.12" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements.txt | $(VENV)/bin/python
	$(BIN)/pip install --quiet -r requirements.txt
	@touch $@

$(VENV)/.installed-dev: requirements-dev.txt $(VENV)/.installed
	$(BIN)/pip install --quiet -r requirements-dev.txt
	@touch $@
