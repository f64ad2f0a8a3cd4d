import { api, ifMatch, take, type Environment, type Schemas } from "../lib/client";
import { BASE, path } from "../lib/router.svelte";
import { date, number } from "../lib/format";
import { state } from "../lib/states";
import { why, type Reason } from "../lib/why";
import {
  json,
  link,
  mono,
  section,
  text,
  time,
  type Action,
  type Cell,
  type DetailPage,
  type Fact,
  type List,
} from "../kit/types";
import { m } from "../lib/texts";
import { componentFilter, environmentFilter, environmentName, given, milliseconds, parsed, words } from "./common";
import { jobs } from "./jobs";

type Schedule = Schemas["ScheduleRecord"];
type Subscription = Schemas["SubscriptionRecord"];
type Event = Schemas["EventRecord"];

/** A schedule is late a minute after it was due: hosts look each second. */
const LATE_MS = 60_000;

const member = (config: unknown, name: string): string | undefined => {
  const value = typeof config === "object" && config !== null ? (config as Record<string, unknown>)[name] : undefined;
  return value === undefined || value === null
    ? undefined
    : typeof value === "object"
      ? JSON.stringify(value)
      : String(value);
};

function scheduleTrouble(schedule: Schedule): string | undefined {
  if (schedule.paused) return "paused";
  if (schedule.next_due === null || schedule.next_due === undefined) {
    return member(schedule.config, "enabled") === "false" ? undefined : "no-next";
  }
  if (schedule.next_due < Date.now() - LATE_MS) return "late";
  return schedule.failures > 0 ? "failing" : undefined;
}

const whySchedule = (schedule: Schedule): Reason | undefined =>
  why("schedule", scheduleTrouble(schedule), schedule.last_outcome === "done" ? undefined : schedule.last_outcome, {
    component: schedule.component,
    environment: schedule.environment,
  });

function scheduleState(schedule: Schedule): Cell {
  const trouble = scheduleTrouble(schedule);
  const shown =
    { paused: "paused", "no-next": "attention", late: "late", failing: "failed" }[trouble ?? ""] ?? "enabled";
  return { ...state(shown), why: whySchedule(schedule) };
}

const at = (tenant: string, schedule: Schedule) => ({
  path: { tenant, component: schedule.component, environment: schedule.environment, schedule: schedule.name },
});

export function scheduleActions(tenant: string, schedule: Schedule): Action[] {
  const params = at(tenant, schedule);
  const headers = ifMatch(schedule.revision);
  return [
    {
      id: "run-now",
      label: m.act_run_now(),
      async run() {
        const { id } = await take(
          api.POST("/v1/tenants/{tenant}/components/{component}/environments/{environment}/schedules/{schedule}/run", {
            params,
          }),
        );
        return { text: m.job_enqueued({ id }) };
      },
    },
    schedule.paused
      ? {
          id: "resume",
          label: m.resume(),
          async run() {
            await take(
              api.POST(
                "/v1/tenants/{tenant}/components/{component}/environments/{environment}/schedules/{schedule}/resume",
                {
                  params,
                  headers,
                },
              ),
            );
          },
        }
      : {
          id: "pause",
          label: m.pause(),
          async run() {
            await take(
              api.POST(
                "/v1/tenants/{tenant}/components/{component}/environments/{environment}/schedules/{schedule}/pause",
                {
                  params,
                  headers,
                },
              ),
            );
          },
        },
  ];
}

const schedulePath = (tenant: string, schedule: Schedule): string =>
  path("t", tenant, "schedules", schedule.component, schedule.environment, schedule.name);

export function schedules(tenant: string, fixed: Record<string, string> = {}): List<Schedule> {
  return {
    title: m.schedules(),
    load(after, filters) {
      const { component, environment } = { ...filters, ...fixed };
      return take(
        api.GET("/v1/tenants/{tenant}/schedules", {
          params: { path: { tenant }, query: given({ after, component, environment }) },
        }),
      );
    },
    key: (row) => `${row.component}/${row.environment}/${row.name}`,
    href: (row) => schedulePath(tenant, row),
    columns: [
      { label: m.name(), cell: (row) => text(row.name) },
      { label: m.state(), cell: scheduleState },
      { label: m.component(), cell: (row) => link(row.component, path("t", tenant, "components", row.component)) },
      { label: m.environment(), wide: true, cell: (row) => text(environmentName(row.environment)) },
      { label: m.cron(), cell: (row) => mono(member(row.config, "cron") ?? member(row.config, "every")) },
      { label: m.timezone(), wide: true, cell: (row) => text(member(row.config, "timezone")) },
      { label: m.next_run(), cell: (row) => time(row.next_due) },
      { label: m.last_run(), wide: true, cell: (row) => time(row.last_due) },
      { label: m.failures(), right: true, wide: true, cell: (row) => text(number(row.failures)) },
    ],
    rowActions: (row) => scheduleActions(tenant, row),
    filters: [componentFilter(), environmentFilter(), { name: "q", label: m.search(), local: true }],
    empty: m.schedules_empty(),
    every: 10_000,
  };
}

export function schedule(tenant: string, component: string, environment: string, name: string): DetailPage {
  return {
    crumbs: [{ text: m.schedules(), href: path("t", tenant, "schedules") }],
    async load() {
      const {
        schedule: row,
        next,
        ticks,
      } = await take(
        api.GET("/v1/tenants/{tenant}/components/{component}/environments/{environment}/schedules/{schedule}", {
          params: { path: { tenant, component, environment: environment as Environment, schedule: name } },
        }),
      );
      const skipped = ticks.find((tick) => tick.outcome === "skipped");
      const last = ticks[0];
      return {
        title: row.name,
        facts: [
          { label: m.state(), cell: scheduleState(row) },
          { label: m.component(), cell: link(row.component, path("t", tenant, "components", row.component)) },
          { label: m.environment(), cell: text(environmentName(row.environment)) },
          { label: m.cron(), cell: mono(member(row.config, "cron") ?? member(row.config, "every")) },
          { label: m.timezone(), cell: text(member(row.config, "timezone")) },
          { label: m.next_run(), cell: time(row.next_due) },
          { label: m.failures(), cell: text(number(row.failures)) },
          { label: m.revision(), cell: text(row.revision) },
        ],
        reasons: [
          whySchedule(row),
          // Only a tick that is the last says something about now.
          skipped !== undefined && skipped === last ? why("skipped-tick", skipped.reason) : undefined,
        ],
        actions: scheduleActions(tenant, row),
        sections: [
          {
            title: m.next_runs(),
            facts: next.map((due, index): Fact => ({ label: `${index + 1}.`, cell: text(date(due)) })),
          },
          section(m.last_runs(), {
            title: m.last_runs(),
            load: () => Promise.resolve({ items: ticks }),
            key: (tick: Schemas["TickRecord"]) => String(tick.due),
            columns: [
              { label: m.due(), cell: (tick) => text(date(tick.due)) },
              { label: m.outcome(), cell: (tick) => state(tick.outcome) },
              { label: m.why(), cell: (tick) => text(why("skipped-tick", tick.reason)?.sentence ?? tick.reason) },
              {
                label: m.job(),
                cell: (tick) => (tick.job ? link(tick.job, path("t", tenant, "jobs", tick.job)) : text("")),
              },
              { label: m.host(), wide: true, cell: (tick) => mono(tick.host) },
            ],
            empty: m.ticks_empty(),
          }),
          { title: m.settings(), json: row.config },
          section(m.jobs(), {
            ...jobs(tenant, { component, environment, trigger: "schedule", name }),
          }),
        ],
      };
    },
    every: 10_000,
  };
}

const subscriptionParams = (tenant: string, row: Subscription) => ({
  path: { tenant, component: row.component, environment: row.environment, subscription: row.name },
});

function subscriptionActions(tenant: string, row: Subscription): Action[] {
  const params = subscriptionParams(tenant, row);
  const headers = ifMatch(row.revision);
  const base = "/v1/tenants/{tenant}/components/{component}/environments/{environment}/subscriptions/{subscription}";
  return [
    row.paused
      ? {
          id: "resume-subscription",
          label: m.resume(),
          async run() {
            await take(api.POST(`${base}/resume`, { params, headers }));
          },
        }
      : {
          id: "pause",
          label: m.pause(),
          async run() {
            await take(api.POST(`${base}/pause`, { params, headers }));
          },
        },
    {
      id: "replay",
      label: m.replay(),
      confirm: m.replay_confirm(),
      fields: [
        { name: "since", label: m.since(), kind: "time" },
        { name: "until", label: m.until(), kind: "time" },
        { name: "type", label: m.event_type(), kind: "text" },
        { name: "version", label: m.version(), kind: "number", hint: m.replay_version_hint() },
        { name: "limit", label: m.limit(), kind: "number", value: "100" },
      ],
      async run({ since = "", until = "", type, version, limit }) {
        const from = milliseconds(since);
        const to = milliseconds(until);
        const { deliveries } = await take(
          api.POST(`${base}/events`, {
            params,
            body: {
              ...(from === undefined ? {} : { since: from }),
              ...(to === undefined ? {} : { until: to }),
              ...(type ? { type } : {}),
              ...(version ? { version: Number(version) } : {}),
              ...(limit ? { limit: Number(limit) } : {}),
            },
          }),
        );
        return { text: m.deliveries({ count: deliveries }) };
      },
    },
  ];
}

export function subscriptions(tenant: string): List<Subscription> {
  return {
    title: m.subscriptions(),
    intro: m.subscriptions_intro(),
    load: (after, { component, environment }) =>
      take(
        api.GET("/v1/tenants/{tenant}/subscriptions", {
          params: { path: { tenant }, query: given({ after, component, environment }) },
        }),
      ),
    key: (row) => `${row.component}/${row.environment}/${row.name}`,
    columns: [
      { label: m.name(), cell: (row) => text(row.name) },
      { label: m.state(), cell: (row) => (row.paused ? state("paused", "subscription") : state("enabled")) },
      { label: m.component(), cell: (row) => link(row.component, path("t", tenant, "components", row.component)) },
      { label: m.environment(), wide: true, cell: (row) => text(environmentName(row.environment)) },
      { label: m.event_type(), cell: (row) => mono(member(row.config, "type") ?? member(row.config, "types")) },
      { label: m.position(), right: true, cell: (row) => text(number(row.cursor)) },
      { label: m.settings(), wide: true, cell: (row) => json(row.config) },
    ],
    rowActions: (row) => subscriptionActions(tenant, row),
    filters: [componentFilter(), environmentFilter()],
    empty: m.subscriptions_empty(),
    every: 10_000,
  };
}

const EVENTS_SHOWN = 200;

// The log is read from a position on; the newest part of it is what one wants to see first.
async function latestEvents(tenant: string): Promise<Event[]> {
  const rows: Event[] = [];
  let after: string | undefined;
  for (let pages = 0; pages < 20; pages += 1) {
    const page = await take(
      api.GET("/v1/tenants/{tenant}/events", {
        params: { path: { tenant }, query: { limit: 1000, ...(after ? { after } : {}) } },
      }),
    );
    rows.push(...page.items);
    after = page.next ?? undefined;
    if (after === undefined) break;
  }
  return rows.slice(-EVENTS_SHOWN).reverse();
}

export function events(tenant: string): List<Event> {
  return {
    title: m.events(),
    intro: m.events_intro(),
    load: async () => ({ items: await latestEvents(tenant), next: null }),
    key: (row) => String(row.position),
    columns: [
      { label: m.position(), right: true, cell: (row) => text(row.position) },
      { label: m.published(), cell: (row) => time(row.published_at) },
      { label: m.event_type(), cell: (row) => mono(row.type) },
      { label: m.source(), cell: (row) => mono(row.source) },
      { label: m.subject(), wide: true, cell: (row) => text(row.subject) },
      { label: m.content(), cell: (row) => json(parsed(row.data)) },
      { label: m.id(), wide: true, cell: (row) => mono(row.id) },
    ],
    actions: [
      {
        id: "publish",
        label: m.publish_event(),
        tone: "primary",
        fields: [
          { name: "type", label: m.event_type(), kind: "text", required: true, value: "" },
          { name: "source", label: m.source(), kind: "text", required: true, value: BASE },
          { name: "subject", label: m.subject(), kind: "text" },
          { name: "data", label: m.content(), kind: "json", value: "{}", required: true },
        ],
        async run({ type, source, subject, data }) {
          const body = {
            specversion: "1.0",
            id: crypto.randomUUID(),
            type,
            source,
            ...(subject ? { subject } : {}),
            data: JSON.parse(data ?? "null") as unknown,
          };
          const { ids } = await take(
            api.POST("/v1/tenants/{tenant}/events", {
              params: { path: { tenant } },
              headers: { "content-type": "application/cloudevents+json" },
              body: body as never,
            }),
          );
          return { text: m.event_published({ id: ids[0] ?? "" }) };
        },
      },
    ],
    filters: [{ name: "q", label: m.search(), local: true }],
    empty: m.events_empty(),
    every: 10_000,
  };
}

/** Enqueues a job by hand. */
export function enqueue(tenant: string, component: string, environment: Environment, names: string[]): Action {
  return {
    id: "enqueue",
    label: m.enqueue_job(),
    tone: "primary",
    fields: [
      names.length > 0
        ? {
            name: "name",
            label: m.name(),
            kind: "choice",
            choices: names.map((value) => ({ value, label: value })),
            value: names[0] ?? "",
          }
        : { name: "name", label: m.name(), kind: "text", required: true },
      { name: "input", label: m.input(), kind: "json", value: "{}", required: true },
      { name: "run_at", label: m.run_at(), kind: "time" },
      { name: "key", label: m.key(), kind: "text", hint: m.key_hint() },
      { name: "after", label: m.after_jobs(), kind: "text", hint: m.after_jobs_hint() },
    ],
    async run({ name = "", input = "null", run_at = "", key, after = "" }) {
      const when = milliseconds(run_at);
      const { id } = await take(
        api.POST("/v1/tenants/{tenant}/components/{component}/environments/{environment}/jobs", {
          params: { path: { tenant, component, environment } },
          body: {
            name,
            input: JSON.parse(input) as Record<string, never>,
            ...(when === undefined ? {} : { run_at: when }),
            ...(key ? { key } : {}),
            ...(after ? { after: words(after) } : {}),
          },
        }),
      );
      return { go: path("t", tenant, "jobs", id) };
    },
  };
}
