// Security events: denials, refused connections, failed sign-ins and limits that were hit.

import { securityKindValues } from "../api/schema";
import { api, take, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { number } from "../lib/format";
import { state, stateLabel } from "../lib/states";
import { why, type Reason } from "../lib/why";
import { link, mono, text, time, type List } from "../kit/types";
import { m } from "../lib/texts";
import { sinceFilter, sinceTime } from "./common";

type Event = Schemas["SecurityEvent"];

const reason = (event: Event): Reason | undefined =>
  why("security", event.kind, undefined, {
    ...(event.component ? { component: event.component } : {}),
    ...(event.environment ? { environment: event.environment } : {}),
  });

export function security(tenant: string): List<Event> {
  return {
    title: m.security_events(),
    intro: m.security_intro(),
    load(after, { kind, since }): Promise<Page<Event>> {
      const from = sinceTime(since);
      const wanted = securityKindValues.find((value) => value === kind);
      return take(
        api.GET("/v1/tenants/{tenant}/security-events", {
          params: {
            path: { tenant },
            query: {
              ...(after ? { after } : {}),
              ...(wanted === undefined ? {} : { kind: wanted }),
              ...(from === undefined ? {} : { since: from }),
            },
          },
        }),
      );
    },
    key: (row) => row.id,
    columns: [
      { label: m.kind(), cell: (row) => ({ ...state(row.kind), why: reason(row) }) },
      { label: m.why(), wide: true, cell: (row) => text(reason(row)?.sentence) },
      { label: m.subject(), cell: (row) => mono(row.subject) },
      { label: m.by(), cell: (row, names) => text(names[row.actor] ?? row.actor) },
      { label: m.address(), wide: true, cell: (row) => mono(row.address) },
      {
        label: m.component(),
        wide: true,
        cell: (row) =>
          row.component ? link(row.component, path("t", tenant, "components", row.component)) : text(""),
      },
      { label: m.code(), wide: true, cell: (row) => mono(row.code) },
      { label: m.times(), right: true, cell: (row) => text(number(row.count)) },
      { label: m.first_seen(), wide: true, cell: (row) => time(row.first_at) },
      { label: m.last_seen(), cell: (row) => time(row.last_at) },
    ],
    filters: [
      {
        name: "kind",
        label: m.kind(),
        choices: securityKindValues.map((value) => ({ value, label: stateLabel(value) })),
      },
      sinceFilter(),
      { name: "q", label: m.search(), local: true },
    ],
    empty: m.security_empty(),
    every: 10_000,
  };
}
