// Runs jobs that do nothing by graphile-worker, with all that it offers to batch them:
//
//     node graphile-worker.mjs postgres://... JOBS
//
// The last line is the number of jobs a second, from the start of the first until the table has none.
import { setTimeout } from "node:timers/promises";
import { run, runMigrations } from "graphile-worker";
import pg from "pg";

const [connectionString, count] = process.argv.slice(2);
const jobs = Number(count);

await runMigrations({ connectionString });
const pool = new pg.Pool({ connectionString });
await pool.query("select graphile_worker.add_job('nothing', '{}'::json) from generate_series(1, $1::int)", [jobs]);

let first;
let started = 0;
const runner = await run({
  preset: {
    worker: {
      connectionString,
      concurrentJobs: 24,
      maxPoolSize: 25,
      localQueue: { size: 500, refetchDelay: { durationMs: 10 } },
      completeJobBatchDelay: 0,
      failJobBatchDelay: 0,
    },
  },
  taskList: {
    nothing() {
      first ??= performance.now();
      started++;
    },
  },
});
while (started < jobs) await setTimeout(5);
while ((await pool.query("select from graphile_worker._private_jobs limit 1")).rowCount > 0) await setTimeout(5);
const seconds = (performance.now() - first) / 1000;
await runner.stop();
await pool.end();
console.log(Math.round(jobs / seconds));
