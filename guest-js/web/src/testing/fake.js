// Fakes of the network, the configuration, the log, the queue, the events and the steps of a component. Databases and
// caches are real, and empty when a test begins.
import native from "elias:native";
import { fetch as realFetch } from "../fetch/fetch.js";
import { Response } from "../fetch/response.js";
import { registry } from "../internal/registry.js";

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
/** The id of what was made with this key before. */
const idOfKey = (list, key) => (key === undefined ? undefined : list.find((made) => made.key === key)?.id);

native.jobsEnqueue = async ({ input, runAtMs: runAt, delayMs: delay, ...job }) => {
  const known = idOfKey(enqueued, job.key);
  if (known !== undefined) return known;
  const id = `job-${enqueued.length + 1}`;
  enqueued.push({ id, ...job, input: JSON.parse(input), runAt, delay });
  return id;
};
native.jobsCancel = async (id) => {
  cancelled.push(id);
  return id;
};

const published = [];
native.eventsPublish = async (type, data, subject, key, delay) => {
  const known = idOfKey(published, key);
  if (known !== undefined) return known;
  const id = `event-${published.length + 1}`;
  published.push({ id, type, data: JSON.parse(data), subject, key, delay });
  return id;
};

let events = 0;
/** A CloudEvent of a test. */
export const eventOf = (type, data = null, given = {}) => ({
  specversion: "1.0",
  id: `test-event-${++events}`,
  source: "test",
  type: `${type}`,
  time: new Date().toISOString(),
  datacontenttype: "application/json",
  data: JSON.parse(JSON.stringify(data)),
  ...given,
});

/** Events for which steps wait. */
let arrivals = [];

/** Whether an event's type matches a pattern: `*` is one part, `**` any number of them. */
function matchesType(pattern, type) {
  const parts = pattern.split(".").map((part) => ({ "*": "[^.]+", "**": ".+" })[part] ?? part.replaceAll(/[^\w-]/g, "\\$&"));
  return new RegExp(`^${parts.join("\\.")}$`).test(type);
}

/** How many steps the handler that runs has begun; undefined where it has no journal. */
let steps;

function requireJournal() {
  if (steps !== undefined) return;
  throw Object.assign(new Error("steps need a job or an event: this handler has no journal"), { code: "not-in-a-job" });
}

native.workflowBegin = async () => {
  requireJournal();
  return { state: "run", position: steps++ };
};
native.workflowFinish = async () => ({ state: "finished" });
native.workflowSleep = async () => {
  requireJournal();
  steps++;
  return { state: "elapsed" };
};
native.workflowWaitFor = async (name, type, filter, timeoutMs) => {
  requireJournal();
  steps++;
  const event = arrivals.find((arrived) => matchesType(type, arrived.type));
  arrivals = arrivals.filter((arrived) => arrived !== event);
  if (event !== undefined) return { state: "happened", value: JSON.stringify(event) };
  if (timeoutMs !== undefined) return { state: "timed-out" };
  throw new TypeError(`the step "${name}" waits for ever: the test has no event ${type}. Give one first: fake.events.arrive("${type}", data)`);
};

/** Calls `run` with an empty journal. */
export async function withJournal(run) {
  steps = 0;
  try {
    return await run();
  } finally {
    steps = undefined;
  }
}

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
      return [...published];
    },
    /** Answers a step that will wait for an event of this type. */
    arrive: (type, data = null, attributes = undefined) => void arrivals.push(eventOf(type, data, attributes)),
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
