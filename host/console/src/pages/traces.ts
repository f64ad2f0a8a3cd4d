// The list of traces; one trace is drawn by Trace.svelte.

import { api, take, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { duration, number } from "../lib/format";
import { state } from "../lib/states";
import { why } from "../lib/why";
import { link, mono, text, time, type Cell, type List } from "../kit/types";
import { m } from "../lib/texts";
import { componentFilter, environmentFilter, environmentName, given, sinceFilter, sinceTime } from "./common";

type Trace = Schemas["TraceSummary"];

const outcome = (row: Trace): Cell =>
  row.failed > 0 ? { ...state("failed"), why: why("trace", "failed") } : state("completed");

export function traces(tenant: string): List<Trace> {
  return {
    title: m.traces(),
    intro: m.traces_intro(),
    load(after, { component, environment, failed, min, since }) {
      const from = sinceTime(since);
      return take(
        api.GET("/v1/tenants/{tenant}/traces", {
          params: {
            path: { tenant },
            query: {
              ...given({ after, component, environment }),
              ...(failed ? { failed: failed === "true" } : {}),
              ...(min ? { min_duration_ms: Number(min) } : {}),
              ...(from === undefined ? {} : { since: from }),
            },
          },
        }),
      );
    },
    key: (row) => row.trace,
    href: (row) => path("t", tenant, "traces", row.trace),
    columns: [
      { label: m.name(), cell: (row) => text(row.name) },
      { label: m.started(), cell: (row) => time(row.started_us / 1_000) },
      { label: m.outcome(), cell: outcome },
      { label: m.component(), cell: (row) => link(row.component, path("t", tenant, "components", row.component)) },
      { label: m.environment(), wide: true, cell: (row) => text(environmentName(row.environment)) },
      { label: m.duration(), right: true, cell: (row) => text(duration(row.duration_us)) },
      { label: m.executions(), right: true, wide: true, cell: (row) => text(number(row.executions)) },
      { label: m.trace(), wide: true, cell: (row) => mono(row.trace.slice(0, 12)) },
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
      {
        name: "min",
        label: m.at_least(),
        choices: [10, 100, 1_000, 10_000].map((ms) => ({ value: String(ms), label: duration(ms * 1_000) })),
      },
      sinceFilter(),
    ],
    empty: m.traces_empty(),
    every: 5_000,
  };
}
