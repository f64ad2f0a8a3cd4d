#!/usr/bin/env bash
# Runs the parts that SOAK_PARTS names, by default all but soak-queue and soak-components:
#   recycling        compares 100,000 executions (EXECUTIONS) in used instances with those in new ones
#   simulation       simulates 10,000,000 due times (TICKS) of schedules in all time zones over ten years
#   plans            looks at the plans of the store's statements with 1,000,000 rows (PLAN_ROWS) in each table
#   soak             runs a platform with many components, and kills one again and again, for SOAK_SECONDS in all (600)
#   soak-triggers    watches schedules for a minute, and kills hosts KILLS times (10) while they run JOBS (2,000), one on
#                    SQLite and two on a PostgreSQL of their own
#   soak-queue       starts of one tenant's jobs beside JOBS_WAITING (100,000) of another's, and throughput while a
#                    transaction is held open for HELD_SECONDS (30)
#   soak-workers     kills a platform KILLS times while its service workers run turns, beside a twin that lives
#   soak-components  the platform with many components, with all of them, however long that takes
set -euo pipefail
cd "$(dirname "$0")/../.."
export ELIAS_QUICKJS=$PWD/target/quickjs
eval "$(grep '^export LIBCLANG_PATH' target/wasm-sdk/env || true)"
bench=()
for part in ${SOAK_PARTS:-recycling simulation plans soak soak-triggers soak-workers}; do
  case $part in
    recycling)
      ELIAS_EXECUTIONS=${EXECUTIONS:-100000} cargo test --locked --release --test e2e -- --exact \
        recycling::an_execution_in_a_used_instance_is_one_in_a_new_instance ;;
    simulation)
      ELIAS_SIMULATION_TICKS=${TICKS:-10000000} cargo test --locked --release --package elias-triggers --lib -- --exact --nocapture \
        schedule::tests::simulation::every_due_time_is_run_or_skipped_exactly_once ;;
    plans)
      ELIAS_PLAN_ROWS=${PLAN_ROWS:-1000000} toolchain/setup/with-services.sh cargo test --locked --release --package elias-store --lib \
        -- tests::triggers::plans tests::workers::plans ;;
    soak | soak-triggers | soak-queue | soak-workers | soak-components) bench+=("$part") ;;
    *)
      echo "SOAK_PARTS: there is no part $part" >&2
      exit 2 ;;
  esac
done
[ ${#bench[@]} -gt 0 ] || exit 0
toolchain/setup/with-services.sh cargo bench --locked --config 'profile.release.package.elias-tests.opt-level=3' --bench bench \
  --features elias-tests/bench --profile release -- "${bench[@]}"
