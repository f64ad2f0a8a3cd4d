#!/usr/bin/env bash
# Measures and writes docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v wrk >/dev/null && command -v strace >/dev/null || toolchain/setup/system.sh wrk strace
toolchain/setup/packages.sh tests/bench/rivals
toolchain/setup/with-services.sh cargo bench --locked --bench bench --features elias-tests/bench --profile release
