#!/usr/bin/env bash
# Compares 100,000 executions (EXECUTIONS) in used instances with those in new ones; simulates 10,000,000 due times (TICKS)
# of schedules; looks at the plans of the store's statements with 1,000,000 rows (PLAN_ROWS) in each table; then runs a
# platform with many components, and kills one again and again, for SOAK_SECONDS in all (default 600); then watches
# schedules for a minute, and kills hosts KILLS times (10) while they run JOBS (2,000), one on SQLite and two on a
# PostgreSQL of their own; then kills one as often while its service workers run turns, beside a twin that lives.
# SOAK_PARTS="soak-triggers" or "soak-workers" runs only these, and
# SOAK_PARTS="soak-components" only the platform with many components, with all of them, however long that takes.
set -euo pipefail
cd "$(dirname "$0")/../.."
export ELIAS_QUICKJS=$PWD/target/quickjs
eval "$(grep '^export LIBCLANG_PATH' target/wasm-sdk/env || true)"
if [ -z "${SOAK_PARTS:-}" ]; then
  ELIAS_EXECUTIONS=${EXECUTIONS:-100000} cargo test --locked --release --test e2e -- --exact recycling::an_execution_in_a_used_instance_is_one_in_a_new_instance
  ELIAS_SIMULATION_TICKS=${TICKS:-10000000} cargo test --locked --release --package elias-triggers --lib -- --exact --nocapture \
    schedule::tests::simulation::every_due_time_is_run_or_skipped_exactly_once
  ELIAS_PLAN_ROWS=${PLAN_ROWS:-1000000} toolchain/setup/with-services.sh cargo test --locked --release --package elias-store --lib \
    -- tests::triggers::plans
fi
# shellcheck disable=SC2086 # several parts are several words
toolchain/setup/with-services.sh cargo bench --locked --config 'profile.release.package.elias-tests.opt-level=3' --bench bench \
  --features elias-tests/bench --profile release -- ${SOAK_PARTS:-soak soak-triggers soak-workers}
