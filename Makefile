# The only list of commands; the README and .ci/run call these targets.

# Serving needs a sixth of what developing needs, so it has an environment of its own.
VENV ?= .venv
SERVING ?= .venv-run
PYTHON := $(VENV)/bin/python
SERVE ?=
PORT ?=
MUTANTS ?=
TOOLS ?=
SOAK ?=

.DEFAULT_GOAL := help
.PHONY: help run test lint format check fuzz mutants generators bench soak browser wheel dist versions audit clean

$(VENV)/installed: pyproject.toml
	python3 -m venv $(VENV)
	$(PYTHON) -m pip install --disable-pip-version-check --editable '.[dev]'
	touch $@

$(SERVING)/installed: pyproject.toml
	python3 -m venv $(SERVING)
	$(SERVING)/bin/python -m pip install --disable-pip-version-check --editable .
	@# Python 3.11 puts setuptools into every environment, and nothing here needs it. pip would take a second for it.
	rm -rf $(foreach part,setuptools setuptools-* pkg_resources _distutils_hack distutils-precedence.pth,$(SERVING)/lib/*/site-packages/$(part))
	touch $@

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' Makefile | expand -t 12

run: $(SERVING)/installed ## serve the mock on localhost (make run PORT=9000, make run SERVE='--world FILE')
	@$(SERVING)/bin/keyfactor-mock serve $(if $(PORT),--port $(PORT)) $(SERVE)

# Tests start the command often: it is compiled once, also where the environment would forbid that.
test: export PYTHONDONTWRITEBYTECODE =
test: $(VENV)/installed ## unit and end-to-end tests with every branch covered, and a short fuzz run
	$(PYTHON) -m coverage erase
	$(PYTHON) -m coverage run -m pytest --numprocesses 3 --dist worksteal -m 'not wheel and not browser and not long'
	$(PYTHON) -m coverage combine --quiet
	$(PYTHON) -m coverage report

lint: $(VENV)/installed ## style and types, changing nothing
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -m mypy

format: $(VENV)/installed ## rewrite the code to the house style, and the tables of faults and editions
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .
	$(PYTHON) tests/gates/faults_table.py
	$(PYTHON) tests/gates/editions_table.py

check: lint test ## everything that a commit must pass

fuzz: $(VENV)/installed ## Schemathesis over both documents, with a fresh seed, and the long tests
	$(PYTHON) tests/gates/fuzz.py
	$(PYTHON) -m pytest -m long

mutants: $(VENV)/installed ## break each rule in turn: a test must notice (make mutants MUTANTS='--list')
	@$(PYTHON) tests/gates/mutants.py $(MUTANTS)

# A tool that cannot be had here is left out, and said; one that is here must work with both documents.
generators: $(VENV)/installed ## generate clients with many tools, compile them and call with them (TOOLS='go java')
	@$(PYTHON) tests/clients/generators/generators.py $(TOOLS)

bench: $(VENV)/installed ## speed, as ratios against references in the same run (make bench BASELINE=commit)
	BASELINE=$(BASELINE) $(PYTHON) tests/benchmarks/bench.py

soak: $(VENV)/installed ## mixed traffic for ten minutes: memory, delay, nothing lost (make soak SOAK='--seconds 60')
	$(PYTHON) tests/benchmarks/soak.py $(SOAK)

browser: $(VENV)/installed ## the pages in headless Chromium, which must be installed
	$(PYTHON) -m pytest -m browser

wheel: $(VENV)/installed ## build the wheel, install it in an empty environment, and use it
	$(PYTHON) -m pytest -m wheel

# Tools that need newer versions of the same libraries, and the tests that need those tools, are left out.
versions: ## the suite with the lowest supported version of each dependency, then with the newest
	python3 -m venv --clear build/lowest
	python3 tests/gates/lowest.py > build/lowest/versions.txt
	build/lowest/bin/python -m pip install --quiet --disable-pip-version-check \
		--constraint build/lowest/versions.txt --editable . \
		authlib hypothesis openapi-spec-validator playwright pytest pytest-rerunfailures \
		pytest-run-parallel pytest-xdist requests-oauth2client requests-oauthlib
	build/lowest/bin/python -m pytest --numprocesses 2 -m 'not wheel and not browser and not long' \
		-k 'not client_is_generated' --ignore tests/gates/test_fuzz.py --ignore tests/clients/test_generated_clients.py --ignore tests/clients/test_sdk.py
	rm -rf build/newest
	$(MAKE) test VENV=build/newest

dist: $(SERVING)/installed ## build the wheel into dist/
	rm -f dist/keyfactor_mock-*.whl
	$(SERVING)/bin/python -m pip wheel --disable-pip-version-check --no-deps --wheel-dir dist .

audit: $(VENV)/installed ## known vulnerabilities in what is installed (asks the package index's service)
	$(PYTHON) -m pip install --quiet --disable-pip-version-check pip-audit
	$(PYTHON) -m pip_audit --skip-editable

clean: ## remove what the targets above create
	rm -rf $(VENV) $(SERVING) build dist .coverage .coverage.* .hypothesis .mypy_cache .pytest_cache .ruff_cache
	find . -name __pycache__ -prune -exec rm -rf {} +
