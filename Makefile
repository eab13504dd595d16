# Everything that this project does, from a fresh clone: `make book`, `make test`. `make help` lists the rest.
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
export PATH := $(CURDIR)/$(BIN):$(PATH)

.PHONY: help book pdf test check chaos fuzz reproduce sweep test-slurm bench bench-gpu clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/\t/' | expand -t 14

$(READY): pyproject.toml constraints.txt
	@# uv if it is there, else pip. Both honour their own settings, such as find-links.
	if command -v uv >/dev/null; then \
		uv venv --allow-existing --quiet --python $(PYTHON) .venv && uv pip install --quiet --python $(BIN)/python -c constraints.txt -e '.[book,test,sweep]'; \
	else \
		$(PYTHON) -m venv .venv && $(BIN)/python -m pip install --quiet -c constraints.txt -e '.[book,test,sweep]'; \
	fi
	touch $@

book: $(READY)  ## build the book: _build/html/index.html
	jupyter-book build book -W -n --keep-going

pdf: $(READY)  ## the book as one file: _build/nontarget.pdf (needs Chromium)
	jupyter-book build book --builder singlehtml
	python book/print_pdf.py _build/singlehtml/intro.html _build/nontarget.pdf

test: $(READY) check  ## lint, types, unit tests, notebooks, the book
	pytest
	pytest --nbval-lax -p no:cacheprovider notebooks

check: $(READY)  ## lint and types
	ruff check .
	ruff format --check .
	mypy

KILLS ?= 50
chaos: $(READY)  ## kill -9 at KILLS=50 random moments: the tables must be those of an uninterrupted run
	python tests/chaos.py --kills $(KILLS)

COUNT ?= 10000
fuzz: $(READY)  ## COUNT=10000 mutated inputs for each reader: how many end in the library's own error, and in a foreign one
	PYTHONPATH=tests python -m fuzzing --count $(COUNT)

# Tensors of a step are given back to the system and asked for anew unless the allocator is told to keep them: 5 to 20 % of the time.
reproduce sweep: export MALLOC_MMAP_THRESHOLD_ := 2000000000
reproduce sweep: export MALLOC_TRIM_THRESHOLD_ := 4000000000
PROFILE ?= default
DEVICE ?= cpu
PLAN = python -m nontarget.study.sweep plan --device $(DEVICE) $(if $(DATASETS),--datasets $(DATASETS))
SNAKEMAKE = snakemake --workflow-profile workflow/profiles/$(PROFILE)

sweep: $(READY)  ## the runs of workflow/sweep.yml that are missing, on all cores; DRY=1: only their number and cost; see CONTRIBUTING
	$(PLAN)
	$(if $(DRY),,$(SNAKEMAKE) $(TARGET))

reproduce: $(READY)  ## compute every committed result of the twins anew (and of the real sets under NONTARGET_DATA)
	$(PLAN) --recompute
	$(if $(DRY),,$(SNAKEMAKE) && python -m nontarget.reproduce --device $(DEVICE) $(DATASETS))

test-slurm: $(READY)  ## a tiny sweep on a Slurm of one node on this machine (as root; Debian: slurm-wlm, munge)
	python tests/slurm.py

bench: $(READY)  ## speed, against the hardware's limit; speed and memory of features on the disk
	python benchmarks/bench.py
	python benchmarks/features.py

bench-gpu: $(READY)  ## the same on a CUDA device
	python benchmarks/bench.py --device cuda

clean:  ## remove what was generated, but not results
	rm -rf _build book/notebooks .pytest_cache .ruff_cache .mypy_cache .hypothesis
