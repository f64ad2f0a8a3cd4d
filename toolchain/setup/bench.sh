#!/usr/bin/env bash
# Measures and writes docs/reference/performance.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v wrk >/dev/null && command -v strace >/dev/null || toolchain/setup/system.sh wrk strace
toolchain/setup/packages.sh tests/bench/rivals tests/bench/rivals/queue
# A thousand clients and the server's ends of their connections; many systems allow 1,024 files unless asked.
ulimit -S -n "$(ulimit -H -n)"
# Native QuickJS, of the engine's source.
export ELIAS_QUICKJS=$PWD/target/quickjs
eval "$(grep '^export LIBCLANG_PATH' target/wasm-sdk/env || true)"
toolchain/setup/with-services.sh cargo bench --locked --config 'profile.release.package.elias-tests.opt-level=3' --bench bench --features elias-tests/bench --profile release
