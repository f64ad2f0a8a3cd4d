#!/usr/bin/env bash
# Checks the Prometheus rules and the Grafana dashboards in docs/operations with Prometheus's own tool, and runs the tests of the rules.
set -euo pipefail
cd "$(dirname "$0")/../.."
command -v promtool >/dev/null || toolchain/setup/system.sh prometheus
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
node toolchain/setup/prometheus.mjs "$folder/dashboards.yml"
promtool check rules "$folder/dashboards.yml" docs/operations/prometheus/elias-recording.yml docs/operations/prometheus/elias-alerts.yml
(cd docs/operations/prometheus && promtool test rules elias-tests.yml)
