#!/usr/bin/env bash
# Measures and writes docs/performance.md.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v wrk >/dev/null || toolchain/setup/system.sh wrk
cargo bench --locked --package elias-tests --profile release
