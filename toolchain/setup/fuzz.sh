#!/usr/bin/env bash
# Feeds damaged and hostile input to each reader of tests/fuzz for FUZZ_SECONDS (default 60), with libFuzzer's coverage.
set -euo pipefail
cd "$(dirname "$0")/../../tests/fuzz"
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
# libFuzzer's instrumentation asks for unstable flags, which this allows on a stable compiler.
export RUSTC_BOOTSTRAP=1
for target in $(cargo fuzz list); do
  cargo fuzz run --sanitizer none "$target" -- -max_total_time="${FUZZ_SECONDS:-60}" -max_len=65536
done
