// The last requests to the component of a development server, which can be sent again.

import { API } from "../lib/base";
import { call, type Page } from "../lib/client";
import { duration } from "../lib/format";
import { path } from "../lib/router.svelte";
import { state } from "../lib/states";
import { link, mono, text, time, type Action, type Cell, type DetailPage, type List, type Section } from "../kit/types";
import { m } from "../lib/texts";

export interface RequestSummary {
  id: string;
  method: string;
  path: string;
  started_at: number;
  duration_us: number;
  status: number;
  outcome: string;
  code: string | null;
  execution: string | null;
  not_replayable: string | null;
}

type Headers = [name: string, value: string][];

interface Body {
  text?: string;
  base64?: string;
  bytes: number;
  whole: boolean;
}

interface RequestDetails {
  summary: RequestSummary;
  version: string;
  error: string | null;
  request: { headers: Headers; body: Body };
  response: { headers: Headers; body: Body };
}

const REQUESTS = `${API}/requests`;

const one = (id: string): string => `${REQUESTS}/${encodeURIComponent(id)}`;

const executionLink = (tenant: string, row: RequestSummary): Cell =>
  row.execution === null ? text(null) : link(row.execution, path("t", tenant, "executions", row.execution));

function sendAgain(row: RequestSummary): Action {
  return {
    id: "send-again",
    label: m.send_again(),
    tone: "primary",
    async run() {
      return { json: await call("POST", `${one(row.id)}/replay`) };
    },
  };
}

export function requests(tenant: string): List<RequestSummary> {
  return {
    title: m.requests(),
    intro: m.requests_intro(),
    load: (after) =>
      call<Page<RequestSummary>>(
        "GET",
        after === undefined ? REQUESTS : `${REQUESTS}?${new URLSearchParams({ after }).toString()}`,
      ),
    key: (row) => row.id,
    href: (row) => path("requests", row.id),
    columns: [
      { label: m.started(), cell: (row) => time(row.started_at) },
      { label: m.method(), cell: (row) => mono(row.method) },
      { label: m.path(), cell: (row) => mono(row.path) },
      { label: m.status(), right: true, cell: (row) => text(row.status || "") },
      { label: m.outcome(), cell: (row) => state(row.outcome) },
      { label: m.code(), wide: true, cell: (row) => mono(row.code) },
      { label: m.duration(), right: true, cell: (row) => text(duration(row.duration_us)) },
      { label: m.id(), wide: true, cell: (row) => executionLink(tenant, row) },
    ],
    rowActions: (row) => (row.not_replayable === null ? [sendAgain(row)] : []),
    actions: [
      {
        id: "clear",
        label: m.clear(),
        async run() {
          await call("DELETE", REQUESTS);
        },
      },
    ],
    filters: [{ name: "q", label: m.search(), local: true }],
    empty: m.requests_empty(),
    every: 2_000,
  };
}

/** Headers and a body, as they are sent. */
function shown(title: string, { headers, body }: { headers: Headers; body: Body }): Section {
  const lines = headers.map(([name, value]) => `${name}: ${value}`);
  const content = body.text ?? (body.base64 === undefined ? "" : `base64 ${body.base64}`);
  return { title, text: [...lines, "", content, ...(body.whole ? [] : ["…"])].join("\n") };
}

export function request(tenant: string, id: string): DetailPage {
  return {
    crumbs: [{ text: m.requests(), href: path("requests") }],
    async load() {
      const found = await call<RequestDetails>("GET", one(id));
      const { summary } = found;
      return {
        title: `${summary.method} ${summary.path}`,
        facts: [
          { label: m.outcome(), cell: state(summary.outcome) },
          { label: m.status(), cell: text(summary.status || "") },
          { label: m.code(), cell: mono(summary.code) },
          { label: m.started(), cell: time(summary.started_at) },
          { label: m.duration(), cell: text(duration(summary.duration_us)) },
          { label: m.executions(), cell: executionLink(tenant, summary) },
        ],
        actions: summary.not_replayable === null ? [sendAgain(summary)] : [],
        sections: [
          ...(found.error === null ? [] : [{ title: m.error(), text: found.error }]),
          shown(m.request(), found.request),
          shown(m.response(), found.response),
        ],
      };
    },
  };
}
