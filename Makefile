# make run   sets up and does the main job: train, sample posteriors of real data, diagnose
# make test  sets up and passes all tests
#
# Both make .venv with what they need; made again, they do only what is out of date.

# TensorFlow has wheels for these versions of Python.
PYTHON := $(firstword $(foreach python,python3 python3.13 python3.12 python3.11,$(shell \
	$(python) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null \
	&& echo $(python))))

BIN := .venv/bin
RUN := runs/regression
PIP := $(BIN)/python -m pip install --disable-pip-version-check --quiet

# The laws of the engine hold on every backend.
ENGINE := tests/test_nn_laws.py tests/test_nn_standardization.py tests/test_training.py \
	tests/test_approximator.py tests/test_resume.py

# Two at a time, which two cores and 8 GB bear; a file's tests share what they have made. The
# longest files come first, by tests/conftest.py.
TWO := -n 2 --dist loadfile --no-loadscope-reorder

.PHONY: run test lint soak bench clean
.DELETE_ON_ERROR:

run: $(RUN)/anscombe.csv $(RUN)/anscombe.nc $(RUN)/diagnostics/metrics.json $(RUN)/anscombe.html
	@echo
	$(BIN)/abi summary $(RUN)/anscombe.csv
	@echo
	@echo "The run is in $(RUN), posterior draws of four real data sets in $(RUN)/anscombe.csv,"
	@echo "the diagnosis in $(RUN)/diagnostics/report.html, its pictures beside it:"
	@ls $(RUN)/diagnostics/figures/*.png
	@echo "A page about the four data sets: $(RUN)/anscombe.html"

$(RUN)/model.keras: specs/regression.yaml specs/regression.py | .venv/installed
	$(BIN)/abi train specs/regression.yaml -o $(RUN) --force

$(RUN)/anscombe.csv $(RUN)/anscombe.nc: $(RUN)/model.keras specs/data/anscombe.csv
	$(BIN)/abi sample $(RUN) specs/data/anscombe.csv -n 2000 -o $@ --force

$(RUN)/diagnostics/metrics.json: $(RUN)/model.keras
	$(BIN)/abi diagnose $(RUN) --datasets 2000

$(RUN)/anscombe.html: $(RUN)/diagnostics/metrics.json specs/data/anscombe.csv
	$(BIN)/abi report $(RUN) specs/data/anscombe.csv -o $@ --force

test: lint
	$(BIN)/pytest $(TWO) -m "not soak"
	KERAS_BACKEND=jax $(BIN)/pytest $(TWO) $(ENGINE)

lint: .venv/installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

soak: .venv/installed-dev
	$(BIN)/pytest -m soak -rA

bench: .venv/installed-dev
	$(BIN)/python -m tests.bench
	$(BIN)/python -m tests.bench.growth
	$(BIN)/python -m tests.bench.stream
	$(BIN)/python -m tests.bench.networks

.venv/installed: pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11, 3.12 or 3.13 is needed; none is on the PATH."; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(PIP) -e .
	@touch $@

.venv/installed-dev: .venv/installed
	$(PIP) -e '.[dev]'
	@touch $@

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache .hypothesis
