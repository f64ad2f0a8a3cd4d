// Metrics of services over time, from the ring of a week that the platform keeps.

import { api, take, type Environment, type Schemas } from "../lib/client";

export type Metric = Schemas["MetricName"];

export interface Span {
  /** Milliseconds back from now. */
  length: number;
  /** Milliseconds of a step: whole minutes, and whole hours beyond a day. */
  step: number;
}

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

export const SPANS = {
  "1h": { length: HOUR, step: MINUTE },
  "6h": { length: 6 * HOUR, step: 5 * MINUTE },
  "24h": { length: 24 * HOUR, step: 15 * MINUTE },
  "7d": { length: 7 * 24 * HOUR, step: HOUR },
} satisfies Record<string, Span>;
export type SpanName = keyof typeof SPANS;

/** A metric of a tenant's services. The points of the last day are those of minutes, older ones those of hours. */
export function metric(
  tenant: string,
  name: Metric,
  { length, step }: Span,
  only: { component?: string; environment?: Environment } = {},
): Promise<Schemas["MetricSeries"]> {
  // A day back is just beyond the points of minutes by the time that the server asks its clock.
  const from = Math.ceil((Date.now() - length) / step) * step;
  return take(
    api.GET("/v1/tenants/{tenant}/metrics", {
      params: { path: { tenant }, query: { metric: name, from, step, ...only } },
    }),
  );
}

/** The beginnings of the steps of a series, in milliseconds since 1970. */
export const times = (series: Schemas["MetricSeries"]): number[] =>
  Array.from({ length: stepsOf(series) }, (_, index) => series.from + index * series.step);

const stepsOf = (series: Schemas["MetricSeries"]): number =>
  series.items.reduce((most, item) => Math.max(most, item.values.length), 0);

/** Counts of all the services of each component, step by step. */
export function byComponent(list: Schemas["MetricSeries"][]): Map<string, number[]> {
  const sums = new Map<string, number[]>();
  for (const series of list) {
    const steps = stepsOf(series);
    for (const { component, values } of series.items) {
      if (component === null || component === undefined) continue;
      const sum = sums.get(component) ?? Array.from({ length: steps }, () => 0);
      for (const [index, value] of values.entries()) sum[index] = (sum[index] ?? 0) + (value ?? 0);
      sums.set(component, sum);
    }
  }
  return sums;
}

export interface Traffic {
  executions: Map<string, number[]>;
  errors: Map<string, number[]>;
  /** Services that share a series. */
  leftOut: number;
}

let kept: { tenant: string; minute: number; traffic: Promise<Traffic> } | undefined;

/** What ran in the last hour by component. Hosts add the counts of a minute when it has ended, so it is asked once in
 * a minute. */
export function traffic(tenant: string): Promise<Traffic> {
  const minute = Math.floor(Date.now() / MINUTE);
  if (kept?.tenant === tenant && kept.minute === minute) return kept.traffic;
  const span = { length: HOUR, step: 2 * MINUTE };
  const names: Metric[] = ["requests", "runs", "worker-turns", "errors"];
  const asked = Promise.all(names.map((name) => metric(tenant, name, span))).then((list) => ({
    executions: byComponent(list.slice(0, 3)),
    errors: byComponent(list.slice(3)),
    leftOut: list[0]?.left_out ?? 0,
  }));
  kept = { tenant, minute, traffic: asked };
  // A failure is not kept.
  asked.catch(() => (kept = undefined));
  return asked;
}
