// The spans of a trace as rows: each below the one that caused it, at its place on the trace's time.

import type { Schemas } from "./client";

type Execution = Schemas["ExecutionTrace"];
type Span = Schemas["Span"];

export interface WaterfallRow {
  span: Span;
  execution: Execution;
  /** Whether it is the first of its execution. */
  first: boolean;
  depth: number;
  /** Microseconds since the trace began. */
  start: number;
}

export interface Waterfall {
  rows: WaterfallRow[];
  /** Microseconds from the first start to the last end. */
  total: number;
  /** Milliseconds since 1970. */
  startedAt: number;
}

/**
 * Orders the spans of all executions. Ids and parents come from requests too, so they may lie: an id that comes twice
 * is the first one's, a parent that is not there is none, and a ring of parents is cut open at its earliest span.
 */
export function waterfall(executions: Execution[]): Waterfall {
  const all = executions.flatMap((execution) =>
    execution.spans.map((span, index) => ({ span, execution, first: index === 0 })),
  );
  all.sort((left, right) => left.span.started_us - right.span.started_us);
  const began = all[0]?.span.started_us ?? 0;
  const ended = all.reduce((last, { span }) => Math.max(last, span.started_us + span.duration_us), began);

  type Item = (typeof all)[number];
  const byId = new Map<string, Item>();
  for (const item of all) if (!byId.has(item.span.id)) byId.set(item.span.id, item);
  const children = new Map<Item, Item[]>();
  const roots: Item[] = [];
  for (const item of all) {
    const parent = item.span.parent ? byId.get(item.span.parent) : undefined;
    if (parent === undefined || parent === item) roots.push(item);
    else children.set(parent, [...(children.get(parent) ?? []), item]);
  }

  const rows: WaterfallRow[] = [];
  const seen = new Set<Item>();
  const add = (root: Item): void => {
    const waiting: [Item, number][] = [[root, 0]];
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const [item, depth] = next;
      if (seen.has(item)) continue;
      seen.add(item);
      rows.push({ ...item, depth, start: item.span.started_us - began });
      for (const child of (children.get(item) ?? []).reverse()) waiting.push([child, depth + 1]);
    }
  };
  for (const root of roots) add(root);
  // What no root leads to is a ring.
  for (const item of all) if (!seen.has(item)) add(item);
  return { rows, total: ended - began, startedAt: Math.floor(began / 1_000) };
}
