# `make demo` and `make test` need python3 (3.11 to 3.13), its pip and venv, and make; nothing else.

PYTHON ?= python3
CONFIGS = laundry eggs ketchup
SAMPLES = laundry fragrance-zh
DATA = configs/data/complete_journey
BIN = .venv/bin
READY = .venv/.ready

.PHONY: help demo test test-all samples lint lock clean
.DELETE_ON_ERROR:

help:
	@echo "make demo      install, fetch the example data, run three experiments, say where the reports are"
	@echo "make test      install and run the tests (less than 15 minutes on 2 cores)"
	@echo "make test-all  the same with the slow tests"
	@echo "make samples   make the committed sample reports anew (reports/samples)"
	@echo "make lint      formatter, linter and type checker"
	@echo "make lock      resolve the dependencies anew into requirements.lock"
	@echo "make clean     remove the environment, caches, example data and reports"

demo: $(READY)
	$(BIN)/segmentor example complete-journey --out $(DATA)
	@for name in $(CONFIGS); do $(BIN)/segmentor run configs/$$name.yaml || exit; done
	@echo; echo "Open the reports in a browser:"; for name in $(CONFIGS); do echo "  reports/$$name/report.html"; done

# What a run leaves in its folder of results, of two examples: the page and what it is made of.
samples: $(READY)
	$(BIN)/segmentor example complete-journey --out $(DATA)
	$(BIN)/segmentor simulate fragrance --out configs/data/fragrance
	@for name in $(SAMPLES); do \
		$(BIN)/segmentor run configs/$$name.yaml && mkdir -p reports/samples/$$name && \
		cp reports/$$name/report.html reports/$$name/results.json reports/samples/$$name || exit; done

test: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal -m "not slow"

test-all: $(READY)
	$(BIN)/pytest -n 2 --dist worksteal

lint: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

lock: $(READY)
	$(BIN)/uv pip compile pyproject.toml --quiet --upgrade --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-header --extra example --extra excel --extra dev --output-file requirements.lock

clean:
	rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .hypothesis build dist configs/data
	find reports -mindepth 1 ! -name README.md ! -path "reports/samples*" -delete
	find segmentor tests -name __pycache__ -prune -exec rm -rf {} +

# The environment. uv does not read pip's settings, so the index that this machine has for pip is handed to it here, at run
# time. Every package is checked against its hash in the lock, so that it does not matter which index answers. Where uv
# cannot install, pip does.
pip_setting = $(shell $(BIN)/python -m pip config list 2>/dev/null | sed -n "s/^[^=]*\.$(1)='\(.*\)'$$/\1/p" | head -n 1)
uv_indexes = $(addprefix --default-index ,$(call pip_setting,index-url)) \
	$(addprefix --index ,$(call pip_setting,extra-index-url)) \
	$(addprefix --find-links ,$(call pip_setting,find-links)) --index-strategy unsafe-best-match

$(READY): requirements.lock pyproject.toml | $(BIN)/python
	@echo "Installing the packages of requirements.lock into .venv"
	@awk '/^uv==/ { found = 1 } found { print } found && !/\\$$/ { exit }' requirements.lock > .venv/uv.lock
	@{ $(BIN)/python -m pip install --quiet --require-hashes -r .venv/uv.lock && \
		$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --compile-bytecode $(uv_indexes) -r requirements.lock; } || \
		$(BIN)/python -m pip install --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	@touch $@

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
		{ echo "segmentor needs Python 3.11 to 3.13; name one: make demo PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
