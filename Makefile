# Two commands do everything on a machine that has Python 3.11+ and Java 17+: `make night`, `make test`.
SHELL := /bin/bash
.DEFAULT_GOAL := help
UV ?= $(shell command -v uv 2>/dev/null || echo .cache/uv/bin/uv)
PY := .venv/bin/python
LAKE ?= lake
LANDING ?= samples/night1
export MEDLAKE_KEY_FILE ?= $(CURDIR)/.cache/key

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | awk -F'\t' '{printf "  make %-16s %s\n", $$1, $$2}'

.PHONY: java
java:
	@command -v java >/dev/null || { echo "Java 17 or newer is not installed. On Debian or Ubuntu: apt-get install openjdk-17-jre-headless" >&2; exit 3; }

.venv/.done: pyproject.toml uv.lock
	@command -v python3 >/dev/null || { echo "Python 3.11 or newer is not installed." >&2; exit 3; }
	@[ -x "$$(command -v $(UV))" ] || { echo "Installing uv into .cache/uv"; python3 -m venv .cache/uv && .cache/uv/bin/pip install -q uv; }
	@echo "Installing the environment from uv.lock"
	@$(UV) sync -q --frozen --all-groups --compile-bytecode
	@touch $@

.PHONY: env
env: java .venv/.done ## environment from the lock file, JARs into the cache, a key for the pseudonyms
	@$(PY) -m medlake.doors.jars >/dev/null
	@[ -f "$(MEDLAKE_KEY_FILE)" ] || .venv/bin/medlake key

.PHONY: night
night: env ## run a whole night on samples/ (LAKE=…, LANDING=…) and name the report
	@.venv/bin/medlake night --lake $(LAKE) --landing $(LANDING)

.PHONY: night2
night2: env ## the second sample night on top: new, corrected, deleted, re-sent
	@.venv/bin/medlake night --lake $(LAKE) --landing samples/night2

.PHONY: test
test: env ## all tests, whole nights, a kill and a real cluster among them (some 20 minutes on 2 cores)
	@$(PY) -m pytest -n 2 --dist loadgroup --no-loadscope-reorder -m "not long"

.PHONY: test-long
test-long: env ## what takes too long for every time: kills in eight steps and at twelve changes of files, failing disks, four deliveries built twice, real files and pictures, every job of a night submitted (an hour and a half; needs a C compiler)
	@$(PY) -m pytest -m long

.PHONY: test-quick
test-quick: env ## the tests of every rule, property and table, without whole nights (20 minutes)
	@$(PY) -m pytest -m "not slow"

.PHONY: check
check: env ## ruff and mypy
	@.venv/bin/ruff check . && .venv/bin/mypy

.PHONY: bench
bench: env ## medlake beside its peers (FHIR, DICOM, CSV): seconds, ratios and memory (half an hour; peers are fetched)
	@for one in dicom fhir csv; do $(PY) -m benchmarks.$$one || exit $$?; done

.PHONY: wheel
wheel: env ## dist/medlake-*.whl with promises and choices inside
	@$(UV) build -q --wheel

.PHONY: cluster-night
cluster-night: wheel ## a night on a real standalone cluster with two workers, every job by spark-submit
	@$(PY) -m tests.cluster.night --lake $(LAKE)-cluster --landing $(LANDING)

.PHONY: samples
samples: env ## make samples/ again (needs Maven and 10 minutes)
	@$(PY) -m samples.make

.PHONY: docs
docs: env ## make the generated tables of README.md and docs/ again
	@$(PY) -m tests.rooms.documents

.PHONY: clean
clean: ## remove the demo lake and the caches of this checkout
	@rm -rf lake lake-cluster dist .pytest_cache .mypy_cache .ruff_cache
