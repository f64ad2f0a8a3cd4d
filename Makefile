# The commands a newcomer has to know. Each does its own set-up, and is quick when that has been done.

.PHONY: run test lint docs coverage mutants bench soak conformance fuzz engine console build packages clean

# Compiled engine code of this checkout stays in it.
export ELIAS_CACHE_DIR ?= $(CURDIR)/target/elias-cache

# Serves examples/hello.
run: engine
	@echo "building elias, elias-build and elias-serve (the first time some 15 minutes on 2 cores)"
	cargo build --locked --release --bin elias --bin elias-build --bin elias-serve
	target/release/elias-build prepare
	target/release/elias-build examples/hello/src/index.js -o target/hello.wasm
	target/release/elias serve target/hello.wasm --listen 127.0.0.1:8787

# Every test: the crates' own, the end-to-end tests of the shipped binaries, the web modules under Node, the admin API by its own document,
# the console in a browser, the rules and dashboards for Prometheus, and the commands and samples of the documentation.
test: build packages
	toolchain/setup/with-services.sh cargo test --locked --release --no-fail-fast
	cd guest-js/web && node --test test/*.test.mjs ../sdk/test/*.test.mjs
	toolchain/setup/openapi.sh
	tests/console/run.sh
	toolchain/setup/prometheus.sh
	toolchain/setup/with-services.sh node tests/docs/run.mjs

# Formatting, clippy, and the engine's clippy for its own target.
lint: engine
	toolchain/setup/console.sh check
	toolchain/setup/lint.sh

# Which lines the tests run; fails below 80 %, and 95 % in the crates of toolchain/setup/pure-crates.txt.
coverage: engine console packages
	toolchain/setup/coverage.sh

# Changes of the pure crates that their tests do not notice, for a bounded time (seconds: MUTANTS_SECONDS).
mutants:
	toolchain/setup/mutants.sh

# The documentation as a site with search, in target/docs; a link that leads nowhere fails.
docs:
	toolchain/setup/docs.sh

# Ratios against rivals in the same run; writes docs/reference/performance.md. PARTS="json express" measures only these parts, and writes
# nothing; CONTRIBUTING.md lists them. The part about triggers runs JOBS (20,000) for each rate, beside
# JOBS_WAITING (100,000) of another tenant, and holds a transaction open for HELD_SECONDS (30); the part about service
# workers measures how fast one comes back that has had TURNS (10,000).
bench: build packages
	toolchain/setup/bench.sh

# What runs for long, and prints what it measured: used instances against new ones (EXECUTIONS), due times of schedules in a simulation (TICKS),
# a platform with many components (COMPONENTS) and one that is killed again and again (SOAK_SECONDS), hosts that are killed KILLS times while they
# run JOBS, and as often while service workers run turns. SOAK_PARTS names the parts, toolchain/setup/soak.sh lists them.
soak: build
	toolchain/setup/soak.sh

# web-platform-tests, in ELIAS and in the runtimes beside it, and test262, from clones of either; writes docs/reference/conformance.md. AREAS="url compression"
# runs a part and writes nothing.
conformance: build
	command -v python3 >/dev/null || toolchain/setup/system.sh python3
	toolchain/setup/packages.sh tests/conformance/rivals
	node tests/conformance/run.mjs $(if $(WPT_DIR),--wpt "$(WPT_DIR)") $(if $(TEST262_DIR),--test262 "$(TEST262_DIR)") \
	  $(foreach area,$(AREAS),--area $(area)) $(if $(AREAS),--verbose,--report docs/reference/conformance.md)

# Feeds damaged components and manifests to the readers, for a bounded time (seconds: FUZZ_SECONDS).
fuzz: engine
	toolchain/setup/fuzz.sh

# The binaries `elias`, `elias-build` and `elias-serve`.
build: engine console
	cargo build --locked --release
	target/release/elias-build prepare

# What elias-build embeds: QuickJS and the native half of the web APIs, for wasm32-wasip1, and bundled npm packages.
engine:
	toolchain/setup/system.sh
	toolchain/setup/web.sh
	toolchain/setup/engine.sh
	node toolchain/setup/base.mjs

# The files of the web console, which elias-serve embeds; a `cargo build` without them makes one that has none.
console:
	toolchain/setup/system.sh
	toolchain/setup/console.sh
	node toolchain/setup/precompress.mjs host/console/dist

# What the examples and tests take from npm, by their lockfiles; install scripts never run.
packages:
	toolchain/setup/packages.sh

clean:
	cargo clean
