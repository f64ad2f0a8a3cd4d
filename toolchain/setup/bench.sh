#!/usr/bin/env bash
# Measures and writes docs/reference/performance.md. PARTS="json express" measures only these parts, and writes nothing.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v wrk >/dev/null && command -v strace >/dev/null || toolchain/setup/system.sh wrk strace
# Without these the parts `profile` and `instructions` say that they were not measured.
command -v perf >/dev/null || toolchain/setup/system.sh linux-perf || true
command -v "qemu-$(uname -m)" >/dev/null || toolchain/setup/system.sh qemu-user || true
toolchain/setup/packages.sh tests/bench/rivals tests/bench/rivals/queue
# A thousand clients and the server's ends of their connections; many systems allow 1,024 files unless asked.
ulimit -S -n "$(ulimit -H -n)"
# The shipped server with the names of its functions, for the part `profile`. Only elias-serve's own crate is compiled and linked again, to get it
# and then to have the shipped one back: all other crates are as `make build` left them, by the same choice of packages and so of features.
profiled=target/bench/elias-serve
case " ${PARTS:-profile} " in *" profile "*)
  if command -v perf >/dev/null && ! [ "$profiled" -nt target/release/elias-serve ]; then
    mkdir -p target/bench
    ELIAS_SYMBOLS=1 cargo build --locked --release --bin elias-serve
    cp target/release/elias-serve "$profiled.new"
    cargo build --locked --release --bin elias-serve
    touch "$profiled.new"
    mv "$profiled.new" "$profiled"
  fi ;;
esac
# Native QuickJS, of the engine's source.
export ELIAS_QUICKJS=$PWD/target/quickjs
eval "$(grep '^export LIBCLANG_PATH' target/wasm-sdk/env || true)"
# shellcheck disable=SC2086 # several parts are several words
toolchain/setup/with-services.sh cargo bench --locked --config 'profile.release.package.elias-tests.opt-level=3' --bench bench \
  --features elias-tests/bench --profile release -- ${PARTS:-}
