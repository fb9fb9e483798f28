# Each target does all its own set-up; a second call does no needless work.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DEMO_STAMP := $(VENV)/.installed-demo
PEERS_STAMP := $(VENV)/.installed-peers
ALL_PEERS_STAMP := $(VENV)/.installed-all-peers
DOCS_STAMP := $(VENV)/.installed-docs

.PHONY: help demo test check lint types docs bench test-peers bench-peers bench-overhead bench-weightings bench-architectures bench-scale publish verify-published chaos

help:  ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/make \1\t\2/' | expand -t 26

$(STAMP): pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/pip install -q -c constraints.txt -e '.[dev]'
	touch $@

$(DEMO_STAMP): $(STAMP)
	$(BIN)/pip install -q --no-deps recbole==1.2.1  # ships MovieLens-100K; only its data files are read
	touch $@

demo: $(DEMO_STAMP)  ## four architectures on MovieLens-100K, the report, and ten films for one user
	$(BIN)/mtlbench run experiment=demo
	$(BIN)/mtlbench report results/demo --html results/demo/report.html
	$(BIN)/mtlbench recommend results/demo --user 42 -k 10 --score 'liked * rating'
	@echo "The report: results/demo/report.html"

test: $(STAMP)  ## all tests; MTLBENCH_DATA=../shared/data adds those on real data
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q -n 2 --dist worksteal  # threads of two workers would wait for each other's cores

lint: $(STAMP)
	$(BIN)/ruff format --check -q .
	$(BIN)/ruff check .

types: $(DOCS_STAMP)
	$(BIN)/mypy benchmark architectures docs/hooks benchmark/_toplevel/hydra_plugins/mtlbench/sweeper.py benchmark/_toplevel/mtlbench/__main__.py

$(DOCS_STAMP): $(STAMP)
	$(BIN)/pip install -q -c constraints.txt -e '.[docs]'
	touch $@

docs: $(DOCS_STAMP)  ## the documentation site in build/site, with warnings as errors
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build -q --strict -f docs/mkdocs.yml

check:  ## what CI runs
	$(MAKE) -j 2 --no-print-directory lint types docs  # each takes one core
	$(MAKE) --no-print-directory test

# where the experiment's own records are: run it with results_dir=$(RUNS) if results/runs has others of its data set
RUNS = results/runs
DATASET = $(shell sed -n 's/.*override \/dataset: //p' conf/experiment/$(EXPERIMENT).yaml)
PUBLISHED = results/records/$(EXPERIMENT)

publish: $(STAMP)  ## EXPERIMENT=census: packs its records from RUNS=results/runs into results/records, with the report (BASELINE=...)
	mkdir -p $(PUBLISHED)/trials
	cp -r $(RUNS)/$(DATASET) $(PUBLISHED)/
	if test -d $(RUNS)/trials/$(DATASET); then cp -r $(RUNS)/trials/$(DATASET) $(PUBLISHED)/trials/; fi
	if test -d $(RUNS)/reference; then cp -r $(RUNS)/reference $(PUBLISHED)/; fi
	rmdir --ignore-fail-on-non-empty $(PUBLISHED)/trials
	$(BIN)/mtlbench pack $(PUBLISHED)
	$(BIN)/mtlbench report $(PUBLISHED) $(if $(BASELINE),--baseline $(BASELINE)) --html $(PUBLISHED)/report.html --markdown $(PUBLISHED)/report.md --csv $(PUBLISHED)/report.csv
	rm -rf $(PUBLISHED)/$(DATASET)/test_rows  # the report needs these labels; they are a part of the data set, so they are not published

verify-published: $(STAMP)  ## two runs of every published folder again: are the numbers the same? needs MTLBENCH_DATA; ARGS='--minutes 60'
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.published $(ARGS)

$(PEERS_STAMP): $(STAMP)
	$(BIN)/pip install -q -c constraints.txt -e '.[peers]'
	touch $@

$(ALL_PEERS_STAMP): $(PEERS_STAMP)
	$(BIN)/pip install -q --no-deps -c constraints.txt LibMTL nextrec  # their other requirements (torchvision, transformers) are not used
	touch $@

test-peers: $(ALL_PEERS_STAMP)  ## do other libraries' models give our outputs on our parameters?
	MTLBENCH_PEERS=all OMP_NUM_THREADS=1 $(BIN)/python -m pytest -q tests/architectures/test_peers.py

bench: bench-peers bench-overhead bench-weightings bench-architectures bench-scale  ## all benchmarks of speed, about two hours on an idle machine

bench-peers: $(PEERS_STAMP)  ## epochs beside torch-rechub and deepctr-torch; ARGS='--rows 20000 --rounds 1' for a look
	$(BIN)/python -m tests.bench.peers $(ARGS)

bench-overhead: $(STAMP)  ## what a sweep costs beside training
	$(BIN)/python -m tests.bench.overhead $(ARGS)

bench-weightings: $(STAMP)  ## a step of every weighting beside equal; needs MTLBENCH_DATA; ARGS='--rounds 2' for a look
	$(BIN)/python -m tests.bench.weightings $(ARGS)

bench-architectures: $(STAMP)  ## an epoch of every architecture on Census-Income; needs MTLBENCH_DATA
	$(BIN)/python -m tests.bench.architectures $(ARGS)

bench-scale: $(STAMP)  ## memory and speed from 1e5 to 1e8 rows; needs 25 GB of disk; ARGS='--rows 1000000' for a look
	$(BIN)/python -m tests.bench.scale $(ARGS)

chaos: $(STAMP)  ## 260 faults: kills, full disks, bad records, damaged caches and checkpoints; ARGS='--only cache --seed 3'
	OMP_NUM_THREADS=1 $(BIN)/python -m tests.chaos $(ARGS)
