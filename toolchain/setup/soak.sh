#!/usr/bin/env bash
# Runs a platform with many components, and kills one again and again, for SOAK_SECONDS in all (default 600).
set -euo pipefail
cd "$(dirname "$0")/../.."
cargo bench --locked --package elias-tests --features bench --profile release -- soak
