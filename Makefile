# `make` lists the verbs. CI runs `make check` and nothing else.
PYTHON ?= python3
BIN := .venv/bin
PROTO := scaler/keda/_pb

.DEFAULT_GOAL := help
.PHONY: help setup system demo test fuzz check lint types layers fix lock generate benchmark soak dist audit licences sbom

help: ## List the verbs
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

# uv takes seconds; pip goes on where uv cannot, since pip.conf may name an index or a certificate.
LOCKED := --require-hashes -r requirements/dev.txt
.venv/.ready: pyproject.toml requirements/dev.txt requirements/tools.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "kvtide needs Python 3.11 or newer, this is " + sys.version.split()[0])'
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements/tools.txt
	$(BIN)/uv pip install --quiet --python $(BIN)/python $(LOCKED) || $(BIN)/python -m pip install --quiet --no-deps $(LOCKED)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: .venv/.ready ## Everything into .venv, at locked versions

system: ## Programs that tests start (Debian: prometheus, promtool, chromium, helm); others are used where found
	@tests/install-programs

demo: setup ## The whole loop on this machine, three minutes; ARGS="--trace FILE" and other flags
	$(BIN)/kvtide demo $(ARGS)

# Real servers on a machine that stalls: under CI what failed runs once more, alone, and fails if it fails again.
test: setup ## All tests; ARGS="tests/decision -x" and the like
	@$(if $(CI),tests/install-programs)
	$(BIN)/python -m pytest $(ARGS)$(if $(CI), || { [ $$? -eq 1 ] && $(BIN)/python -m pytest --last-failed --last-failed-no-failures none; })

soak: setup ## Ten minutes of objects that come and go, and what is left of them
	$(BIN)/python -m tests.soak $(SECONDS)

FUZZERS ?= metadata config-json exposition reply yaml
SECONDS ?= 600
fuzz: setup ## Each fuzzer for ten minutes; FUZZERS=yaml SECONDS=60 and the like
	$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes -r requirements/fuzz.txt
	@for name in $(FUZZERS); do $(BIN)/python -m fuzz $$name $(SECONDS) || exit 1; done

check: lint types layers test ## What CI runs: lint, types, layers, tests

lint: setup ## Format and lint, nothing rewritten
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: setup ## mypy, strict
	$(BIN)/mypy

# Its cache would outlive a package that is added.
layers: setup ## The stairs of ARCHITECTURE.md
	$(BIN)/lint-imports --no-cache

fix: setup ## Format, and repair what lint can repair
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

dist: setup ## Wheel and charts into dist/, as a release has them
	$(BIN)/python -m hatchling build -d dist/python
	helm package --destination dist charts/kvtide charts/llm-on-kvtide

audit: setup ## Known vulnerabilities of what is locked (asks a public database)
	$(BIN)/uv tool run pip-audit==2.10.1 --no-deps --disable-pip -r requirements/run.txt

licences: setup ## Under which licence each locked dependency of the wheel is; one that binds the whole fails
	$(BIN)/uv tool run --with-requirements requirements/run.txt pip-licenses==5.5.5 --format markdown \
	  --partial-match --fail-on "GPL;GNU General Public"

sbom: setup ## What is in the wheel's locked environment, as CycloneDX, into dist/
	@mkdir -p dist
	$(BIN)/uv tool run --from cyclonedx-bom==7.5.0 cyclonedx-py requirements requirements/run.txt --pyproject pyproject.toml --output-reproducible --output-file dist/kvtide.cdx.json

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --no-emit-index-url --no-emit-find-links --generate-hashes
lock: setup ## Resolve the dependencies anew into requirements/
	$(COMPILE) pyproject.toml -o requirements/run.txt
	$(COMPILE) --group dev pyproject.toml -c requirements/run.txt -o requirements/dev.txt
	$(COMPILE) --group tools -c requirements/dev.txt -o requirements/tools.txt
	$(COMPILE) --group fuzz -o requirements/fuzz.txt

generate: setup ## Stubs from proto/, and every other file that is made from another
	$(BIN)/python -m grpc_tools.protoc -I $(PROTO)=proto --python_out=. --pyi_out=. --grpc_python_out=. proto/externalscaler.proto proto/kvtide.proto
	$(BIN)/python -m dashboards.build
	$(BIN)/python -m docs.reference
	$(BIN)/python -m charts.schema
	$(BIN)/python -m charts.readme
