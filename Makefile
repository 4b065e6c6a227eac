# Everything runs in the environment .venv, made on first use from requirements.lock (hashes) with uv.
.DEFAULT_GOAL := help
.PHONY: help demo up down test test-kill screenshots lint format bench bench-load bench-gates bench-daily \
  bench-dashboard bench-sizing bench-consistency docs deps lock clean notebook

GROWTH := .venv/bin/growth
LANDING := $${GROWTH_LANDING:-landing}
UV_VERSION := 0.13.9
SIDE_BY_SIDE := tests/golden tests/dags tests/integration
# a package mirror that pip is set to, by a variable or in its configuration, is good for uv too
PIP_INDEX = $${PIP_INDEX_URL:-$$(.venv/bin/pip config get global.index-url 2>/dev/null)}
UV = UV_DEFAULT_INDEX="$${UV_DEFAULT_INDEX:-$(PIP_INDEX)}" .venv/bin/uv
INSTALL = $(UV) pip install --quiet --python .venv/bin/python
# an environment that was moved with the checkout, or whose Python is gone, is made anew
ifneq ($(wildcard .venv/bin/pip),)
ifneq ($(shell .venv/bin/pip --version >/dev/null 2>&1 && echo usable),usable)
.PHONY: .venv/bin/uv .venv/installed .venv/installed-dev .venv/installed-analysis
endif
endif

# what is left where growth, which stops servers and deletes their data, does not run
UNSTOPPED = if [ -e "$${GROWTH_HOME:-.growth}" ]; then \
  echo "growth does not run: first make .venv/installed; servers and data of .growth stay" >&2; exit 1; fi

help: ## List the targets
	@awk -F ":.*## " '/^[a-z-]+:.*## / {printf "  %-17s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: .venv/installed ## Without Docker: sample data, embedded Postgres, the whole DAG, and what came out
	@$(GROWTH) sample --if-empty "$(LANDING)"
	@$(GROWTH) run
	@echo && echo "Which channel brought the registrations (mart.channel_attribution):"
	@$(GROWTH) sql "select channel, registration_month, registration_count, round(registration_rate, 3) as registration_rate \
	  from mart.channel_attribution order by registration_month, registration_count desc, channel"
	@echo && echo "Next:  $(GROWTH) psql              query the marts as the read-only role analyst"
	@echo "       $(GROWTH) dashboard         the same in pictures, on http://127.0.0.1:8501"
	@echo "       $(GROWTH) status            what was loaded and published"
	@echo "       $(GROWTH) up --ui           the same DAG in Airflow's web interface"
	@echo "       land your own CSVs in landing/<feed>/, then $(GROWTH) run   (README.md, Your own files)"
	@echo "       make down                       stop the embedded Postgres; data stay in .growth/"

up: ## With Docker: start the stack and wait until every service is healthy
	docker compose up --build --detach --wait --wait-timeout 300
	@at() { docker compose port "$$@"; }; \
	echo "Airflow http://$$(at airflow-apiserver 8080), login airflow; warehouse $$(at warehouse 5432), login analyst"; \
	echo "dashboard http://$$(at dashboard 8501), reports http://$$(at reports 8081)"; \
	echo "Passwords as in .env, by default airflow and analyst."

down: ## Stop the stack of Docker and the embedded servers; data stay
	@if docker compose ps --quiet 2>/dev/null | grep -q .; then docker compose down; fi
	@if $(GROWTH) --help >/dev/null 2>&1; then $(GROWTH) down; else $(UNSTOPPED); fi

# In the order of what they take; the first failure ends it. The longest files come first, and each stays in one process.
test: lint .venv/installed-analysis ## Lint, unit tests, then DAG, integration and golden tests and (with Docker) compose tests, in two processes
	.venv/bin/pytest tests/unit
	.venv/bin/pytest -m "not alone" -n 2 --dist loadfile --no-loadscope-reorder $(SIDE_BY_SIDE)
	.venv/bin/pytest -m alone $(SIDE_BY_SIDE)
	.venv/bin/pytest -n 2 --dist loadfile --no-loadscope-reorder tests/e2e

test-kill: .venv/installed-dev ## Kill loads at 90 random points (KILL_POINTS, KILL_SEED)
	KILL_POINTS=$${KILL_POINTS:-90} .venv/bin/pytest -s tests/integration/test_load_kill.py

screenshots: .venv/installed-dev ## Make the pictures of the README anew, from the sample in a real browser
	mkdir -p .growth/screenshots
	GROWTH_SCREENSHOTS=.growth/screenshots .venv/bin/pytest tests/golden/test_dashboard.py -k browser
	for name in overview-1280 engagement-retention-1280 dark-1280; do cp .growth/screenshots/$$name.png docs/images/; done

lint: .venv/installed-dev ## Check style and types; changes nothing
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/sqlfluff lint --disable-progress-bar dbt_project

format: .venv/installed-dev ## Format Python and SQL
	.venv/bin/ruff check --fix .
	.venv/bin/ruff format .
	.venv/bin/sqlfluff fix --disable-progress-bar dbt_project

bench: bench-load bench-gates bench-daily bench-dashboard bench-sizing bench-consistency ## Everything that is measured

bench-load: .venv/installed .venv/bench/installed ## Measure loading against psql \copy and other tools (bench/README.md)
	.venv/bin/python -m bench.load $(ARGS)

bench-gates: .venv/installed ## Measure each task of a run over the sample, and what the gates cost (bench/README.md)
	.venv/bin/python -m bench.gates $(ARGS)

bench-daily: .venv/installed ## Measure a day of events after 30 and after 360 days, and a full rebuild (bench/README.md)
	.venv/bin/python -m bench.daily $(ARGS)

bench-dashboard: .venv/installed-dev ## Measure the dashboard in a browser over 10 million events (bench/README.md)
	.venv/bin/python -m bench.dashboard $(ARGS)

bench-sizing: .venv/installed ## Measure minutes, memory and disk for a volume of files a day (bench/README.md)
	.venv/bin/python -m bench.sizing $(ARGS)

bench-consistency: .venv/installed-dev ## Compare ten random ways of the same files (CONSISTENCY_ORDERS, _SEED) with a full refresh
	CONSISTENCY_ORDERS=$${CONSISTENCY_ORDERS:-10} .venv/bin/pytest -v --durations=0 tests/golden/test_consistency.py

docs: .venv/installed ## Write the dbt docs, and Elementary's report where its package is in use, to reports/
	$(GROWTH) report

deps: .venv/installed ## Get the dbt packages of Elementary's report from dbt's hub (docs/elementary.md)
	$(GROWTH) deps

lock: .venv/installed-dev ## Write the requirements*.lock files anew from pyproject.toml
	$(UV) pip compile --universal --generate-hashes --no-header --quiet pyproject.toml -o requirements.lock
	$(UV) pip compile --universal --generate-hashes --no-header --quiet --extra dev -c requirements.lock \
	  pyproject.toml -o requirements-dev.lock
	$(UV) pip compile --universal --generate-hashes --no-header --quiet --extra analysis -c requirements.lock \
	  -c requirements-dev.lock pyproject.toml -o requirements-analysis.lock

clean: ## Stop everything and remove .venv, .growth with all data, and caches; landing stays
	@if $(GROWTH) --help >/dev/null 2>&1; then $(GROWTH) down --purge; else $(UNSTOPPED); fi
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis *.egg-info
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/installed: requirements.lock pyproject.toml
	@$(MAKE) --no-print-directory .venv/bin/uv
	$(INSTALL) --require-hashes -r requirements.lock
	$(INSTALL) --no-deps -e .
	@touch $@

.venv/installed-dev: requirements-dev.lock .venv/installed
	$(INSTALL) --require-hashes -r requirements-dev.lock
	@touch $@

# What `growth notebook` and the pictures and the reference of `growth backtest` need.
.venv/installed-analysis: requirements-analysis.lock .venv/installed
	$(INSTALL) --require-hashes -r requirements-analysis.lock
	@touch $@

notebook: .venv/installed-analysis ## Open the notebooks that explore the marts in JupyterLab
	$(GROWTH) notebook

# The tools that loading is compared with: apart from the project, and gone with .venv. The rest is measured without them.
.venv/bench/installed: bench/requirements.txt | .venv/installed
	@$(MAKE) --no-print-directory .venv/bin/uv
	@.venv/bin/uv venv --quiet --allow-existing --python .venv/bin/python .venv/bench \
	  && $(UV) pip install --quiet --python .venv/bench/bin/python --require-hashes -r bench/requirements.txt \
	  && touch $@ || echo "bench/requirements.txt was not installed: what it compares with is not available" >&2

# The first Python that fits; the check needs what venv needs (on Debian the package python3-venv).
.venv/bin/uv:
	@for python in $(PYTHON) python3 python3.13 python3.12 python3.11; do \
	  if $$python -c 'import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' 2>/dev/null; then \
	    echo "Making .venv with $$($$python --version)"; \
	    $$python -m venv --clear .venv && exec .venv/bin/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	  fi; \
	done; echo "Python 3.11, 3.12 or 3.13 with venv is needed, and no newer one is good. Debian, Ubuntu: apt install python3-venv;" \
	  "Fedora: dnf install python3.13; Homebrew: brew install python@3.13; or PYTHON=/path/to/python make ..." >&2; exit 1
