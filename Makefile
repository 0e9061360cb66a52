# The environment is made on first use: a virtual environment in .venv with exactly what requirements-dev.txt names.

PYTHON ?= python3
UV ?= uv
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
# Not --quiet: with it, warnings do not count.
SITE := NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict
LOCK := $(UV) pip compile --quiet --generate-hashes --universal --python-version 3.11 --no-annotate \
	--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" pyproject.toml

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo serve test check docs bench soak image-check openapi lock clean

help: ## what this Makefile can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(READY) ## from real charging sessions to invoices, on this machine
	@$(BIN)/quotepart demo

serve: $(READY) ## migrate the database and start the service on loopback
	@$(BIN)/quotepart migrate
	@$(BIN)/quotepart serve

test: $(READY) ## every test, on SQLite and on a PostgreSQL of its own
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder

check: $(READY) ## formatting, lint, types, the OpenAPI document against the code, the documentation
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/mypy
	@generated=$$(mktemp) && trap 'rm -f "$$generated"' EXIT && \
		$(BIN)/quotepart openapi --output "$$generated" && \
		{ cmp -s openapi/openapi.json "$$generated" || \
			{ echo "openapi/openapi.json does not say what the code does: run 'make openapi'" >&2; exit 1; }; }
	@site=$$(mktemp -d) && trap 'rm -rf "$$site"' EXIT && $(SITE) --site-dir "$$site"

docs: $(READY) ## the documentation as a site: open site/index.html
	@$(SITE)

bench: $(READY) ## measure, each figure as a ratio to what the machine can do
	@$(BIN)/python -m benchmarks

soak: $(READY) ## what takes long: many examples for every route, minutes under load, hundreds of kills, 20 million events
	@QUOTEPART_CONTRACT_EXAMPLES=$(or $(EXAMPLES),2000) $(BIN)/python -m pytest tests/contract -n 2 --dist load
	@QUOTEPART_SOAK=1 $(BIN)/python -m pytest tests/monitoring/test_under_load.py
	@QUOTEPART_SOAK=1 $(BIN)/python -m pytest tests/crash/test_kills.py -s -W ignore
	@$(BIN)/python -m benchmarks.growth

image-check: ## build the image and run it, where there is no container engine (as root, with buildah)
	@deploy/check-image.sh

openapi: $(READY) ## write what lies in openapi/ from the code
	@$(BIN)/quotepart openapi --output openapi/openapi.json
	@$(BIN)/quotepart catalog-schema --output openapi/catalog.schema.json

lock: ## pin what pyproject.toml asks for, with hashes (needs uv; UPGRADE=1 takes newer versions)
	@$(LOCK) $(if $(UPGRADE),--upgrade) --output-file requirements.txt
	@$(LOCK) $(if $(UPGRADE),--upgrade) --extra dev --constraint requirements.txt --output-file requirements-dev.txt

clean: ## remove the environment, caches and build products; databases stay
	@rm -rf $(VENV) build dist site *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): requirements-dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Python 3.11 or newer is needed, and '$(PYTHON)' is not: name one, as in 'make PYTHON=python3.12 $(or $(MAKECMDGOALS),demo)'" >&2; \
		exit 1; }
	@$(BIN)/python -m pip --version > /dev/null 2>&1 || $(PYTHON) -m venv --clear $(VENV)
	@echo "Installing what requirements-dev.txt names into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements-dev.txt
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@
