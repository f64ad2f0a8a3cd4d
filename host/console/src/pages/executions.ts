import { api, ApiError, take, type Schemas } from "../lib/client";
import { isDevelopment } from "../lib/base";
import { path } from "../lib/router.svelte";
import { bytes, compact, date, duration, number } from "../lib/format";
import { state } from "../lib/states";
import { why } from "../lib/why";
import {
  link,
  mono,
  section,
  text,
  time,
  type Action,
  type Column,
  type DetailPage,
  type Fact,
  type List,
  type Section,
} from "../kit/types";
import { m } from "../lib/texts";
import { componentFilter, environmentFilter, environmentName, given } from "./common";

type Execution = Schemas["ExecutionRecord"];

const outcome = (row: Execution) => ({ ...state(row.outcome), why: why("execution", row.code, row.error) });

/** The columns of executions but that of their start; without the component where all are one's. */
export const executionColumns = (tenant: string, ofOne: boolean): Column<Execution>[] => [
  { label: m.outcome(), cell: outcome },
  { label: m.code(), cell: (row) => (row.code ? mono(row.code) : text(row.status || "")) },
  ...(ofOne
    ? []
    : [
        {
          label: m.component(),
          cell: (row: Execution) => link(row.component, path("t", tenant, "components", row.component)),
        },
      ]),
  { label: m.source(), cell: (row) => mono(row.source) },
  { label: m.environment(), wide: true, cell: (row) => text(environmentName(row.environment)) },
  { label: m.version(), right: true, wide: true, cell: (row) => text(row.version) },
  { label: m.duration(), right: true, cell: (row) => text(duration(row.duration_us)) },
  { label: m.fuel(), right: true, wide: true, cell: (row) => text(compact(row.fuel)) },
  { label: m.memory(), right: true, wide: true, cell: (row) => text(bytes(row.memory_bytes)) },
];

export function executions(
  tenant: string,
  fixed: Record<string, string> = {},
  title = m.executions(),
): List<Execution> {
  return {
    title,
    intro: m.executions_intro(),
    async load(after, filters) {
      const { failed, component, environment, trace, job } = { ...filters, ...fixed };
      return take(
        api.GET("/v1/tenants/{tenant}/executions", {
          params: {
            path: { tenant },
            query: {
              ...given({ after, component, environment, trace, job }),
              ...(failed ? { failed: failed === "true" } : {}),
            },
          },
        }),
      );
    },
    key: (row) => row.id,
    href: (row) => path("t", tenant, "executions", row.id),
    columns: [
      { label: m.started(), cell: (row) => time(row.started_at) },
      ...executionColumns(tenant, fixed["component"] !== undefined),
    ],
    filters: [
      componentFilter(),
      environmentFilter(),
      {
        name: "failed",
        label: m.outcome(),
        choices: [
          { value: "true", label: m.state_failed() },
          { value: "false", label: m.state_completed() },
        ],
      },
      { name: "trace", label: m.trace() },
      { name: "q", label: m.search(), local: true },
    ],
    empty: m.executions_empty(),
    every: 5_000,
  };
}

export function cancelExecution(tenant: string, execution: string): Action {
  return {
    id: "cancel",
    label: m.cancel_execution(),
    tone: "danger",
    confirm: m.cancel_execution_confirm(),
    async run() {
      await take(
        api.POST("/v1/tenants/{tenant}/executions/{execution}/cancel", { params: { path: { tenant, execution } } }),
      );
    },
  };
}

export function running(tenant: string): List<Schemas["RunningExecution"]> {
  return {
    title: m.running(),
    intro: m.running_intro(),
    load: (after, { component, environment }) =>
      take(
        api.GET("/v1/tenants/{tenant}/executions/running", {
          params: { path: { tenant }, query: given({ after, component, environment }) },
        }),
      ),
    key: (row) => row.id,
    columns: [
      { label: m.started(), cell: (row) => time(row.started_at) },
      { label: m.component(), cell: (row) => link(row.component, path("t", tenant, "components", row.component)) },
      { label: m.source(), cell: (row) => mono(row.source) },
      { label: m.environment(), cell: (row) => text(environmentName(row.environment)) },
      { label: m.version(), right: true, cell: (row) => text(row.version) },
      { label: m.state_canary(), wide: true, cell: (row) => text(row.canary ? m.yes() : "") },
      { label: m.id(), wide: true, cell: (row) => mono(row.id) },
    ],
    rowActions: (row) => [cancelExecution(tenant, row.id)],
    filters: [componentFilter(), environmentFilter()],
    empty: m.running_empty(),
    every: 2_000,
  };
}

/** Where a trace is shown: a development server keeps no spans, but the executions of one trace have its id. */
const traceAddress = (tenant: string, trace: string): string =>
  isDevelopment
    ? `${path("t", tenant, "executions")}?trace=${encodeURIComponent(trace)}`
    : path("t", tenant, "traces", trace);

/** The lines of a record: `[level, message]` each. */
function logText(lines: unknown): string {
  if (!Array.isArray(lines)) return "";
  return lines
    .map((line) =>
      Array.isArray(line) ? `${String(line[0]).padEnd(5)} ${String(line[1] ?? "")}` : JSON.stringify(line),
    )
    .join("\n");
}

// What runs has no record yet.
async function record(tenant: string, execution: string): Promise<Execution | Schemas["RunningExecution"]> {
  try {
    return await take(
      api.GET("/v1/tenants/{tenant}/executions/{execution}", { params: { path: { tenant, execution } } }),
    );
  } catch (error) {
    if (!(error instanceof ApiError) || error.code !== "not-found") throw error;
    const now = await take(
      api.GET("/v1/tenants/{tenant}/executions/running", { params: { path: { tenant }, query: { limit: 1000 } } }),
    );
    const found = now.items.find((item) => item.id === execution);
    if (found === undefined) throw error;
    return found;
  }
}

export function execution(tenant: string, id: string): DetailPage {
  return {
    crumbs: [{ text: m.executions(), href: path("t", tenant, "executions") }],
    async load() {
      const row = await record(tenant, id);
      const service: Fact[] = [
        { label: m.component(), cell: link(row.component, path("t", tenant, "components", row.component)) },
        { label: m.environment(), cell: text(environmentName(row.environment)) },
        {
          label: m.version(),
          cell: link(String(row.version), path("t", tenant, "components", row.component, "versions", row.version)),
        },
        { label: m.started(), cell: text(date(row.started_at)) },
      ];
      if (!("outcome" in row)) {
        return {
          title: row.source,
          facts: [{ label: m.outcome(), cell: state("running") }, ...service],
          actions: [cancelExecution(tenant, id)],
        };
      }
      const calls = row.host_calls ?? [];
      const inCalls = calls.reduce((sum, call) => sum + call.duration_us, 0);
      const timeline: Section = {
        title: m.timeline(),
        view: "timeline",
        data: [
          ...calls.map((call) => ({
            label: call.capability,
            detail: m.calls({ count: call.calls }),
            length: call.duration_us,
            total: row.duration_us,
          })),
          {
            label: m.own_work(),
            detail: "",
            length: Math.max(0, row.duration_us - inCalls),
            total: row.duration_us,
          },
        ],
      };
      const log = logText(row.lines);
      const { trace } = row;
      return {
        title: row.source,
        facts: [
          { label: m.outcome(), cell: outcome(row) },
          { label: m.status(), cell: text(row.status || "") },
          { label: m.code(), cell: mono(row.code) },
          ...service,
          { label: m.duration(), cell: text(duration(row.duration_us)) },
          { label: m.fuel(), cell: text(number(row.fuel)) },
          { label: m.memory(), cell: text(bytes(row.memory_bytes)) },
          { label: m.id(), cell: mono(row.id) },
          {
            label: m.trace(),
            cell: trace ? link(trace, traceAddress(tenant, trace)) : text(""),
          },
          ...(row.run
            ? [
                { label: m.job(), cell: link(row.run.job, path("t", tenant, "jobs", row.run.job)) },
                { label: m.attempt(), cell: text(row.run.attempt) },
              ]
            : []),
        ],
        reasons: [why("execution", row.code, undefined, { component: row.component, environment: row.environment })],
        sections: [
          ...(row.error ? [{ title: m.error(), text: row.error }] : []),
          timeline,
          ...(log === "" ? [] : [{ title: m.log(), text: log }]),
          ...(trace
            ? [
                section(m.same_trace(), {
                  ...executions(tenant, { trace }, m.same_trace()),
                  intro: m.same_trace_intro(),
                }),
              ]
            : []),
        ],
      };
    },
  };
}
