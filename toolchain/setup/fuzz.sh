#!/usr/bin/env bash
# Feeds damaged and hostile input to each reader of tests/fuzz for FUZZ_SECONDS (default 60), with libFuzzer's coverage. Arguments
# are the targets to run; without any, all are.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
cd "$root/tests/fuzz"
command -v cargo-fuzz >/dev/null || cargo install --quiet --locked cargo-fuzz
# libFuzzer's instrumentation asks for unstable flags, which this allows on a stable compiler.
export RUSTC_BOOTSTRAP=1
# The C source of QuickJS and of PostgreSQL's parser: what clang compiles is instrumented too, and bindgen wants its headers.
# shellcheck disable=SC1091
. "$root/target/wasm-sdk/env"
[ -x "$WASI_SDK/bin/clang" ] && export ELIAS_FUZZ_CLANG=$WASI_SDK/bin/clang
# All are built first: the compiler is not wanted while they run.
cargo fuzz build --sanitizer none
host=$(rustc -vV | sed -n 's/^host: //p')
for target in ${*:-$(cargo fuzz list)}; do
  echo "== $target"
  mkdir -p "corpus/$target" "artifacts/$target"
  "target/$host/release/$target" "corpus/$target" -artifact_prefix="artifacts/$target/" -max_total_time="${FUZZ_SECONDS:-60}" \
    -max_len=65536 -print_final_stats=1 -verbosity=0
done
