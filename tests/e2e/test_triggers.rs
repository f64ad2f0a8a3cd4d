//! `elias test`: a clock that fires the schedules of elias.toml, and jobs and events that a test runs.

use elias_tests::terminal::Terminal;

const CONFIG: &str = r#"
[capabilities.db]
[capabilities.events]
[capabilities.jobs]
[capabilities.workflow]

[[triggers.schedule]]
name = "nightly"
cron = "0 3 * * *"
timezone = "Europe/Berlin"
input = { full = true }

[[triggers.event]]
name = "large"
type = "order.*"
where = { "data.total" = { gte = 10 } }
transform = "{ total: .data.total }"

[[triggers.event]]
name = "huge"
type = "order.*"
where = { "data.total" = { gte = 100 } }

[[triggers.event]]
name = "sent"
type = "mail.sent"
batch = 2

[triggers.jobs.store]
retry = { attempts = 3, first = "1m", jitter = false }

[triggers.jobs.order]
retry = { attempts = 2, first = "10s", jitter = false }
"#;

const SOURCE: &str = r#"
import { db, events, jobs, log, step } from "elias";

export default {
  async scheduled(tick) {
    await jobs.enqueue("report", { at: new Date(tick.scheduledTime).toISOString(), late: tick.late, ...tick.input });
  },
  async job(job) {
    if (job.name === "report") return "sent";
    if (job.name === "store") {
      await db.query("CREATE TABLE IF NOT EXISTS stored (attempt INTEGER NOT NULL)");
      const stored = await step.transaction("store", async (tx) => {
        await tx.query("INSERT INTO stored (attempt) VALUES ($1)", job.attempt);
        if (job.attempt === 1) throw new Error("rolled back");
        return job.attempt;
      });
      if (job.attempt === 2) throw new Error("not yet");
      return [stored, await db.values("SELECT attempt FROM stored")];
    }
    await step("charge", () => log.info("charged"));
    if (job.attempt === 1 || job.input?.fails) throw new Error("not yet");
    await step.sleep("a day", 86_400_000);
    await events.publish("order.paid", { total: 50, secret: 1 });
  },
  event(event) {
    log.info(`paid ${JSON.stringify(event.data)}`);
  },
  events(batch) {
    log.info(`${batch.subscription}: ${batch.events.map(({ data }) => data).join(" ")}`);
    batch.events.find(({ data }) => data === "b")?.reject("no");
  },
};
"#;

const TESTS: &str = r#"
import { clock, expect, fake, it, triggers } from "elias/test";
import { db, events, jobs } from "elias";

const outcomes = async () => (await triggers.runJobs()).map(({ name, attempt, outcome }) => [name, attempt, outcome]);

it("fires schedules in their time zone", async () => {
  clock.set("2026-03-28T12:00:00Z");
  await clock.advance("1d");
  // Clocks were set forward in that night: 03:00 in Berlin is 01:00 UTC.
  expect(triggers.ticks).toEqual([{ name: "nightly", scheduledTime: Date.parse("2026-03-29T01:00:00Z") }]);
  const input = { at: "2026-03-29T01:00:00.000Z", late: 0, full: true };
  expect(triggers.jobs).toMatchObject([{ name: "report", input, state: "waiting" }]);
  expect(Date.now()).toBe(Date.parse("2026-03-29T12:00:00Z"));
  expect(await triggers.runJobs()).toMatchObject([{ name: "report", outcome: "done", result: "sent" }]);
  expect(triggers.jobs).toMatchObject([{ state: "done", result: "sent" }]);
});

it("runs jobs when they are due, and tries them again", async () => {
  clock.set("2026-06-01T12:00:00Z");
  await jobs.enqueue("order", null, { delay: 1000 });
  const runAt = new Date("2026-06-01T12:00:01Z");
  const hopeless = await jobs.enqueue("order", { fails: true }, { runAt, priority: 1 });
  await jobs.enqueue("report", null, { after: [hopeless] });
  expect(await outcomes()).toEqual([]);
  await clock.advance(1000);
  expect(await outcomes()).toEqual([["order", 1, "retry"], ["order", 1, "retry"]]);
  await clock.advance("9s 999ms");
  expect(await outcomes()).toEqual([]);
  await clock.advance(1);
  expect(await outcomes()).toEqual([["order", 2, "dead"], ["order", 2, "suspended"]]);
  expect(triggers.jobs.map(({ state }) => state)).toEqual(["waiting", "dead", "cancelled"]);
  await clock.advance("1d");
  expect(await outcomes()).toEqual([["order", 2, "done"], ["report", 1, "done"]]);
  expect(triggers.events).toMatchObject([{ type: "order.paid", data: { total: 50 } }]);
  expect(await triggers.deliverEvents()).toMatchObject([{ name: "large", outcome: "done" }]);
  expect(fake.log.lines.map(({ message }) => message)).toEqual(["charged", "charged", 'paid {"total":50}']);
});

it("delivers events in batches", async () => {
  clock.set(0);
  for (const data of ["a", "b", "c"]) await events.publish("mail.sent", data);
  const ends = (await triggers.deliverEvents()).map(({ name, outcome, reason }) => [name, outcome, reason]);
  expect(ends).toEqual([["sent", "done", undefined], ["sent", "dead", "no"], ["sent", "done", undefined]]);
  expect(fake.log.lines.map(({ message }) => message)).toEqual(["sent: a b", "sent: c"]);
});

it("does steps in transactions of the database", async () => {
  clock.set(0);
  await jobs.enqueue("store");
  for (const attempt of [1, 2]) {
    expect(await outcomes()).toEqual([["store", attempt, "retry"]]);
    await clock.advance("5m");
  }
  expect(await triggers.runJobs()).toMatchObject([{ attempt: 3, outcome: "done", result: [2, [[2]]] }]);
});

it("knows what a transaction that rolls back has enqueued no more", async () => {
  const failing = db.transaction(async (tx) => {
    await events.publish("mail.sent", "a", { tx });
    throw new Error("no");
  });
  await expect(failing).rejects.toThrow("no");
  await db.transaction((tx) => jobs.enqueue("report", null, { tx }));
  expect([triggers.events.length, triggers.jobs.map(({ name }) => name)]).toEqual([0, ["report"]]);
});

it("takes durations as elias.toml has them", () => expect(clock.advance("soon")).rejects.toThrow("not a duration"));
"#;

/// A folder with the project in `app`.
fn terminal() -> Terminal {
    let terminal = Terminal::new();
    for (file, text) in [
        ("elias.toml", CONFIG),
        ("package.json", r#"{"name":"app"}"#),
        ("src/index.js", SOURCE),
        ("test/index.test.js", TESTS),
    ] {
        let path = terminal.path("app").join(file);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("the folder is ours");
        std::fs::write(path, text).expect("written");
    }
    terminal
}

#[test]
fn tests_move_the_clock_and_run_jobs_and_events() {
    let terminal = terminal();
    let output = terminal.output("app", &["test"]);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success() && said.contains("6 passed"), "{said}");

    terminal.edit("app/elias.toml", "0 3 * * *", "61 * * * *");
    let output = terminal.output("app", &["test"]);
    assert!(!output.status.success());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("triggers.schedule[0].cron"), "{said}");
}
