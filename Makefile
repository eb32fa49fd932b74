# Every command people and CI run. uv is taken from PATH; without it, one is made in .uv/ with any Python >= 3.11 that runs.
# Without make:  python3 -m venv .venv && .venv/bin/pip install --require-hashes -r requirements-dev.lock && .venv/bin/pip install --no-deps -e .
# uv shall trust the certificates that the system trusts, as pip does: needed behind a proxy of a company.
export UV_NATIVE_TLS ?= true
export UV_SYSTEM_CERTS ?= true
UV     := $(shell command -v uv || echo .uv/bin/uv)
PYTHON := $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
            $$p -c 'import sys; sys.exit(sys.version_info < (3, 11) or print(sys.executable))' 2>/dev/null && break; done)
INSTALL = $(UV) pip install --quiet --python .venv
# As a requirement, a checkout is installed again when what it is built from changes (tool.uv.cache-keys in pyproject.toml);
# as an argument it would be every time, over the network.
CHECKOUT = again=$$(.venv/bin/python _build/tasker_build.py) && echo '-e .' | $(INSTALL) --no-deps $$again -r -
# Where cargo is missing, says so and passes; fails with TASKER_NATIVE=1.
CARGO   = .venv/bin/python _build/cargo.py
COMPILE = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command 'make lock'

.PHONY: help demo test system check lint types imports coverage faults faults-kafka kafka schemas face bench bench-quick bench-large lock format core dev samples rust rust-check fuzz
help:                    ## these lines
	@grep -E '^[a-z-]+:.*##' Makefile | sed -E 's/:.*## */\t/' | expand -t 12
demo: core               ## twenty orders through an engine whose worker is killed; ARGS= goes to `tasker demo`
	@.venv/bin/tasker demo $(ARGS)
test: dev samples        ## all tests; ARGS= goes to pytest, say ARGS="-n0 tests/unit"
	@.venv/bin/python -m pytest -n auto $(ARGS)
system:                  ## the programs that some tests use and no Python package brings, by apt: Chromium, kcat, pgbouncer, …
	@for p in chromium curl jq kcat /usr/sbin/pgbouncer; do command -v $$p || break; done | grep -q pgbouncer || { apt-get -qq update && \
	  DEBIAN_FRONTEND=noninteractive apt-get -qq install --no-install-recommends chromium curl jq kcat pgbouncer >/dev/null; }
check: lint types imports ## everything that is checked without running it
lint: dev                ## ruff: rules and format
	@.venv/bin/ruff check . && .venv/bin/ruff format --check .
types: dev               ## mypy --strict
	@.venv/bin/mypy
imports: dev             ## imports point one way
	@.venv/bin/lint-imports
rust: core               ## compile rust_ext: the extension, as every target here does, and what is beside it
	@$(CARGO) build --release --locked --workspace --exclude tasker-python
rust-check: .venv/bin/python  ## rustfmt, clippy and the tests of the Rust code
	@$(CARGO) fmt --all --check
	@$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	@$(CARGO) test --locked
fuzz: .venv/bin/python   ## broken histories for the Rust fold; ARGS="--seconds 600" for longer than a minute
	@$(CARGO) run --release --locked --package tasker-fuzz -- $(or $(ARGS),--seconds 60)
coverage: dev samples    ## branch coverage of the tests
	@.venv/bin/python -m pytest -n auto --cov --cov-report=term $(ARGS)
faults-kafka: dev        ## the same with a Kafka broker beside PostgreSQL, 100 histories; ARGS="--seconds 120" for fewer
	@.venv/bin/python -m tests.faults.kafka $(or $(ARGS),--histories 100)
faults: dev              ## 300 histories of real faults, SQLite and PostgreSQL, against the invariants; ARGS="--seconds 120" for fewer
	@.venv/bin/python -m tests.faults $(or $(ARGS),--histories 300)
bench: dev               ## the figures of the docs, beside a peer, in ten minutes; ARGS= goes to the bench
	@.venv/bin/python -m bench $(ARGS)
bench-quick: dev         ## one round of it with smaller sizes, in a minute
	@.venv/bin/python -m bench --quick $(ARGS)
bench-large: dev         ## on logs of 5 and 10 million events; needs 20 GB and half an hour
	@.venv/bin/python -m bench --large $(ARGS)
kafka: dev               ## a Kafka broker on loopback, data in .kafka/; ARGS=stop ends it; needs Java 17 and Maven
	@.venv/bin/python -m tests.broker $(or $(ARGS),start)
schemas: dev             ## write schemas/ and docs/EVENTS.md from the code
	@.venv/bin/tasker schemas --document docs/EVENTS.md $(ARGS)
face: dev                ## write tests/architecture/face/ from the code, once the public face is what it shall be
	@.venv/bin/python -m tests.architecture.face
format: dev              ## rewrite the code as `lint` wants it, where a machine can
	@.venv/bin/ruff check --fix . ; .venv/bin/ruff format .
lock: | $(UV)            ## write both lock files again; ARGS=--upgrade for newer versions
	$(COMPILE) $(ARGS) pyproject.toml -o requirements.lock
	$(COMPILE) $(ARGS) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock

samples: .venv/bin/python
	@$(CARGO) build --release --locked --quiet --package tasker-json-handler --package tasker-typed-handler
core: .venv/bin/python
	@$(INSTALL) --require-hashes -r requirements.lock && $(CHECKOUT)
dev: .venv/bin/python
	@$(INSTALL) --require-hashes -r requirements-dev.lock && $(CHECKOUT) && echo '-e ./subscribers' | $(INSTALL) --no-deps -r -
.venv/bin/python: | $(UV)
	@$(UV) venv --quiet --allow-existing --python '$(or $(PYTHON),>=3.11)' .venv
.uv/bin/uv:
	@test -n "$(PYTHON)" || { echo "make: Tasker needs Python 3.11 or newer on PATH (or uv, which can bring one)." >&2; exit 1; }
	@$(PYTHON) -m venv .uv || { echo "make: '$(PYTHON) -m venv' failed; on Debian and Ubuntu: apt install python3-venv" >&2; rm -rf .uv; exit 1; }
	@.uv/bin/python -m pip install --quiet --disable-pip-version-check 'uv>=0.8,<1' || { rm -rf .uv; exit 1; }
