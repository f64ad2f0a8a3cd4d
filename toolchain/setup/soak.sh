#!/usr/bin/env bash
# Runs a platform with many components, and kills one again and again, for SOAK_SECONDS in all (default 600).
set -euo pipefail
cd "$(dirname "$0")/../.."
export ELIAS_QUICKJS=$PWD/target/quickjs
eval "$(grep '^export LIBCLANG_PATH' target/wasm-sdk/env || true)"
cargo bench --locked --config 'profile.release.package.elias-tests.opt-level=3' --bench bench --features elias-tests/bench --profile release -- soak
