#!/usr/bin/env bash
# Measures which lines the tests run, of the Rust crates and of the web modules, and fails below the floors of coverage.mjs.
# Not a part of `make test`: everything is compiled once more, with counters, in target/coverage.
#
# The first argument `web` measures the web modules only.
set -euo pipefail
cd "$(dirname "$0")/../.."
target=$PWD/target/coverage
mkdir -p "$target"
rm -f "$target"/{rust.json,web.lcov,*.profraw}

(
  cd guest-js/web
  node --test --experimental-test-coverage --test-reporter=dot --test-reporter-destination=stdout \
    --test-reporter=lcov --test-reporter-destination="$target/web.lcov" test/*.test.mjs ../sdk/test/*.test.mjs
)
if [ "${1:-}" = web ]; then exec node toolchain/setup/coverage.mjs "$target"; fi

command -v cargo-llvm-cov >/dev/null || cargo install --quiet --locked cargo-llvm-cov

# The tools that read the counters have to be of the major version of the compiler's LLVM: rustup's component, or Debian's package.
llvm=$(rustc -vV | sed -n 's/^LLVM version: \([0-9]*\).*/\1/p')
tools=$(rustc --print target-libdir)/../bin
has_rustups() { [ -x "$tools/llvm-cov" ] && [ -x "$tools/llvm-profdata" ]; }
if ! has_rustups && ! { command -v "llvm-cov-$llvm" && command -v "llvm-profdata-$llvm"; } >/dev/null; then
  rustup component add llvm-tools 2>/dev/null || toolchain/setup/system.sh "llvm-$llvm"
fi
if ! has_rustups; then
  LLVM_COV=$(command -v "llvm-cov-$llvm")
  LLVM_PROFDATA=$(command -v "llvm-profdata-$llvm")
  export LLVM_COV LLVM_PROFDATA
fi

export CARGO_TARGET_DIR=$target
# Files by binary, to which its processes add: the tests start thousands of processes.
export LLVM_PROFILE_FILE_NAME=elias-%4m.profraw
# What maps counters to lines stays in the binaries.
export CARGO_PROFILE_RELEASE_STRIP=none
# Sets LLVM_PROFILE_FILE, and RUSTC_WRAPPER, which adds the counters and `--cfg coverage` to the workspace's own crates.
environment=$(cargo llvm-cov show-env --sh)
eval "$environment"
cargo build --locked --release
"$target/release/elias-build" prepare
# Counters of the build itself.
rm -f "$target"/*.profraw
toolchain/setup/with-services.sh cargo test --locked --release --no-fail-fast --lib --bins --tests
# A process that was killed while it wrote leaves a file that cannot be read; without all others there is no report.
cargo llvm-cov report --release --failure-mode all --json --summary-only --output-path "$target/rust.json"
node toolchain/setup/coverage.mjs "$target"
