# Every target sets itself up: it needs a Python 3.11, 3.12 or 3.13, and nothing else on the machine.

PY := .venv/bin/python
# Arguments for the program behind a target: make test ARGS="tests/accounts -x"
ARGS :=

# What a shell may carry that leads Python, pip or uv somewhere else than into .venv.
unexport PYTHONHOME PYTHONPATH PYTHONUSERBASE VIRTUAL_ENV CONDA_PREFIX
unexport PIP_TARGET PIP_PREFIX PIP_ROOT PIP_CONSTRAINT PIP_REQUIREMENT UV_CONSTRAINT UV_OVERRIDE UV_PROJECT_ENVIRONMENT
export PIP_USER := 0
export PIP_ROOT_USER_ACTION := ignore
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Trust whom the machine trusts: a company's proxy has a certificate of its own.
export UV_SYSTEM_CERTS := 1

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help run test check fix bench interop up lock

help: ## Print this list
	@sed -n 's/^\([a-z]*\):[^#]*## /\1	/p' Makefile | while IFS='	' read -r name text; do printf '  make %-9s %s\n' "$$name" "$$text"; done

run: .venv/runtime ## Start the server on http://127.0.0.1:8000; it needs no keys, the built-in model answers
	@$(PY) manage.py quickstart $(ARGS)

test: .venv/dev ## Run all tests, on SQLite and on a PostgreSQL and a Redis started for them
	@$(PY) -m tests.harness $(ARGS)

check: .venv/dev ## Look for mistakes without running anything: style, types, imports, settings, schema, secrets
	@$(PY) -m tests.harness.checks

fix: .venv/dev ## Mend what can be mended by itself: style and the order of imports
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

bench: .venv/dev ## Measure the server beside others, as ratios
	@$(PY) -m tests.bench $(ARGS)

interop: .venv/dev ## Try the server with clients and vendors that others wrote
	@$(PY) -m tests.harness --only sqlite tests/interop -m "litellm or not litellm" $(ARGS)

up: ## Start everything in containers: server, jobs, PostgreSQL, Redis, nginx
	@docker compose --file docker/compose.yaml up --build $(ARGS)

lock: .venv/uv ## Choose the versions of all packages anew; ARGS=--upgrade takes the newest that are a week old
	@$(call compile,requirements.txt,requirements.lock)
	@$(call compile,-c requirements.lock requirements-dev.txt,requirements-dev.lock)
	@echo 'uv~=0.13' | $(call compile,-,requirements-uv.lock)
	@echo 'mock-ai-api==0.1.1' | $(call compile,-,tests/harness/mock-ai-api.lock)
	@echo 'litellm[proxy]==1.106.2' | $(call compile,-,tests/harness/litellm.lock)

# One lock for Linux and macOS and every Python we support, with the hashes of all files. A release has to stand for a
# week before it is taken: a hijacked one is usually found by then.
compile = $(PY) -m uv pip compile --quiet --universal --python-version 3.11 --fork-strategy fewest --generate-hashes \
	--no-header --no-annotate --no-emit-index-url --no-emit-find-links --exclude-newer '7 days' $(ARGS) --output-file $(2) $(1)

# --- The environment -------------------------------------------------------

# A candidate counts if it runs and has what we need of it: a shim of a version manager may be there and not work.
PROBE := import sys, ensurepip, sqlite3, ssl, venv; (3, 11) <= sys.version_info[:2] <= (3, 13) or sys.exit(1); \
	print(sys._base_executable, sys.version.split()[0])

$(PY):
	@if [ -n "$$PYTHON" ]; then set -- "$$PYTHON"; else set -- python3.13 python3.12 python3.11 python3; fi; \
	for name; do found=$$("$$name" -c '$(PROBE)' 2>/dev/null) && break; done; \
	if [ -z "$$found" ]; then \
		echo "No Python 3.11, 3.12 or 3.13 with venv, ssl and sqlite3 was found (tried: $$*)." >&2; \
		echo "Install one (Debian, Ubuntu: apt-get install python3-venv) or name it: PYTHON=/path/to/python3" >&2; \
		exit 1; \
	fi; \
	echo "Making .venv with Python $${found##* } ($${found% *}) …"; \
	"$${found% *}" -m venv --clear .venv

.venv/uv: requirements-uv.lock $(PY)
	@$(PY) -m pip install --quiet --require-hashes -r requirements-uv.lock || echo "Going on without uv."
	@touch $@

# uv installs in seconds what takes pip half a minute. It does not know pip's settings: whoever has an index of their
# own gets pip, and so does everybody for whom uv does not work.
install = { ! $(PY) -m pip config list | grep -q '\.index-url=' \
	&& $(PY) -m uv pip install --python $(PY) --require-hashes -r $(1); } \
	|| $(PY) -m pip install --require-hashes -r $(1)

.venv/runtime: requirements.lock .venv/uv
	@echo "Installing the server's packages into .venv (about 250 MB) …"
	@$(call install,requirements.lock)
	@touch $@

.venv/dev: requirements-dev.lock .venv/uv
	@echo "Installing the packages of server, tests and checks into .venv (about 600 MB) …"
	@$(call install,requirements-dev.lock)
	@touch .venv/runtime $@
