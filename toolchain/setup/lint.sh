#!/usr/bin/env bash
# Formatting and lints; every warning is an error here.
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo fmt --all --check
# No modules of a crate depend on each other in a circle.
node toolchain/setup/layers.mjs
# The bench compares with native QuickJS: its C source is the engine's, and libclang that of the engine's compiler.
export ELIAS_QUICKJS=$PWD/target/quickjs
eval "$(grep '^export LIBCLANG_PATH' target/wasm-sdk/env || true)"
# The bench is behind a feature, for what only it needs.
cargo clippy --locked --release --all-targets --features elias-tests/bench -- -D warnings
# The engine is for another target and profile.
# shellcheck disable=SC1091
. target/wasm-sdk/env
CARGO_TARGET_WASM32_WASIP1_RUSTFLAGS="$ELIAS_WASM_RUSTFLAGS" "$ELIAS_WASM_CARGO" check --locked --quiet --package elias-engine \
  --target wasm32-wasip1 --profile engine --target-dir target/guest
