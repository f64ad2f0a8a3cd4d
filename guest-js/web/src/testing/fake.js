// Fakes of the network, the configuration, the log, the queue and the events of a component. Databases and caches are
// real, and empty when a test begins.
import native from "elias:native";
import { fetch as realFetch } from "../fetch/fetch.js";
import { Response } from "../fetch/response.js";
import { registry } from "../internal/registry.js";
import { arrive } from "./journal.js";

/** The fakes of `http`, the newest first. */
let fakes = [];
const requests = [];
let network = false;

/** `"GET https://host/path"`, where `*` stands for anything, a URL alone, a RegExp for the URL, or a function. */
function matcherOf(pattern) {
  if (typeof pattern === "function") return pattern;
  if (pattern instanceof RegExp) return ({ url }) => pattern.test(url);
  const [, method, url] = /^(?:([A-Z]+)\s+)?(\S+)$/.exec(`${pattern}`) ?? [];
  if (url === undefined) throw new TypeError(`fake.http needs "METHOD URL", a URL, a RegExp or a function, not ${pattern}`);
  const escaped = url.split("*").map((part) => part.replaceAll(/[\\^$.|?+()[\]{}]/g, "\\$&"));
  const wanted = new RegExp(`^${escaped.join(".*")}$`);
  // A pattern without a query takes any.
  return (request) =>
    (method === undefined || request.method === method) && (wanted.test(request.url) || (!url.includes("?") && wanted.test(request.url.split("?")[0])));
}

const responseOf = (value) => {
  if (value instanceof Response) return value.clone();
  if (typeof value === "string") return new Response(value);
  return value === undefined || value === null ? new Response(null, { status: 204 }) : Response.json(value);
};

registry.fakeFetch = async (request) => {
  requests.push(request.clone());
  for (const { matches, respond, once } of fakes) {
    if (!matches(request)) continue;
    if (once) fakes = fakes.filter((fake) => fake.respond !== respond);
    return responseOf(typeof respond === "function" ? await respond(request) : respond);
  }
  if (network) return realFetch(request, undefined, true);
  throw new TypeError(
    `fetch of ${request.method} ${request.url}: the test has no answer to that. Give one: fake.http("${request.method} ${request.url}", () => ` +
      `Response.json({})); or let requests out: fake.http.network()`,
  );
};

const http = (pattern, respond) => {
  fakes = [{ matches: matcherOf(pattern), respond }, ...fakes];
};
http.once = (pattern, respond) => {
  fakes = [{ matches: matcherOf(pattern), respond, once: true }, ...fakes];
};
/** Sends requests that no fake answers to the network, within the grants of elias.toml. */
http.network = () => {
  network = true;
};
/** The requests that were made, oldest first, with their bodies. */
Object.defineProperty(http, "requests", { get: () => [...requests], enumerable: true });

let values = {};
/** The values of elias.toml; those of the test override them. */
export const fakedEnv = () => ({ ...registry.env, ...values });

const LEVELS = ["trace", "debug", "info", "warn", "error"];
const lines = [];
const { log: realLog, logFields: realLogFields } = native;
native.logScripted();
native.log = (level, message, given) => {
  lines.push({ level: LEVELS[level] ?? "error", message, fields: {} });
  realLog(level, message, given);
};
native.logFields = (level, message, pairs) => {
  const fields = {};
  for (let at = 0; at + 1 < pairs.length; at += 2) fields[pairs[at]] = JSON.parse(pairs[at + 1]);
  lines.push({ level: LEVELS[level] ?? "error", message, fields });
  realLogFields(level, message, pairs);
};

const enqueued = [];
const cancelled = [];
/** The jobs and the events, with when they are due: for whoever runs them. */
export const queued = [];
export const published = [];
/** The id of what was made with this key before. */
const idOfKey = (list, key) => (key === undefined ? undefined : list.find((made) => made.key === key)?.id);

/** The open transactions by their numbers: what is to be done when one commits, and how much of it there was at savepoints. */
const transactions = new Map();

/** Does something when the transaction commits; at once without one (0). */
function whenCommitted(tx, work) {
  if (tx === 0) return work();
  if (!transactions.has(tx)) transactions.set(tx, { works: [], savepoints: new Map(), isCommitted: false });
  transactions.get(tx).works.push(work);
}

const { dbControl, dbEnd } = native;
native.dbControl = (tx, statement, savepoint) => {
  const open = transactions.get(tx);
  if (open !== undefined) {
    if (statement === "commit") open.isCommitted = true;
    if (statement === "savepoint") open.savepoints.set(savepoint, open.works.length);
    // One that is not known began before there was any work.
    if (statement === "rollback-to") open.works.length = open.savepoints.get(savepoint) ?? 0;
  }
  return dbControl(tx, statement, savepoint);
};
native.dbEnd = (tx) => {
  dbEnd(tx);
  const ended = transactions.get(tx);
  transactions.delete(tx);
  if (ended?.isCommitted) for (const work of ended.works) work();
};

let lastJob = 0;
native.jobsEnqueue = async ({ input, runAtMs: runAt, delayMs: delay, ...job }, tx = 0) => {
  // Within a transaction the host looks at keys when it has committed.
  const known = tx === 0 ? idOfKey(enqueued, job.key) : undefined;
  if (known !== undefined) return known;
  const id = `job-${++lastJob}`;
  whenCommitted(tx, () => {
    if (idOfKey(enqueued, job.key) !== undefined) return;
    enqueued.push({ id, ...job, input: JSON.parse(input), runAt, delay });
    const now = Date.now();
    queued.push({ ...enqueued.at(-1), enqueuedAt: now, due: runAt ?? now + (delay ?? 0) });
  });
  return id;
};
native.jobsCancel = async (id) => {
  cancelled.push(id);
  const job = queued.find((known) => known.id === id);
  if (job !== undefined) job.isCancelled = true;
  return id;
};

const events = [];
let lastEvent = 0;
native.eventsPublish = async (type, data, subject, key, delay, tx = 0) => {
  const known = tx === 0 ? idOfKey(events, key) : undefined;
  if (known !== undefined) return known;
  const id = `event-${++lastEvent}`;
  whenCommitted(tx, () => {
    if (idOfKey(events, key) !== undefined) return;
    events.push({ id, type, data: JSON.parse(data), subject, key, delay });
    published.push({ ...events.at(-1), due: Date.now() + (delay ?? 0) });
  });
  return id;
};

export const fake = Object.freeze({
  http,
  jobs: Object.freeze({
    /** The jobs that were enqueued, oldest first. */
    get enqueued() {
      return [...enqueued];
    },
    /** The ids of the jobs that were cancelled. */
    get cancelled() {
      return [...cancelled];
    },
  }),
  events: Object.freeze({
    /** The events that were published, oldest first. */
    get published() {
      return [...events];
    },
    /** Answers a step that will wait for an event of this type. */
    arrive: (type, data = null, attributes = undefined) => arrive(type, data, attributes),
  }),
  /** Gives `env` these values, beside those of elias.toml. */
  config(given) {
    values = { ...values, ...given };
  },
  log: Object.freeze({
    /** The lines that were written: { level, message, fields }. */
    get lines() {
      return [...lines];
    },
  }),
});
