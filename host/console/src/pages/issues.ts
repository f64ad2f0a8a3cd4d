// Issues: groups of failures with one cause.

import { api, ifMatch, take, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { number } from "../lib/format";
import { state } from "../lib/states";
import { why, type Reason } from "../lib/why";
import {
  link,
  mono,
  section,
  text,
  time,
  type Action,
  type Cell,
  type DetailPage,
  type List,
  type Section,
} from "../kit/types";
import { m } from "../lib/texts";
import {
  componentFilter,
  environmentFilter,
  environmentName,
  given,
  milliseconds,
  sinceFilter,
  sinceTime,
} from "./common";
import { executionColumns } from "./executions";

type Issue = Schemas["Issue"];
type Occurrence = { id: string; record: Schemas["ExecutionRecord"] | undefined };

const HOUR = 3_600_000;
/** The hours that a list shows, of the 168 that there are. */
const HOURS_IN_LIST = 48;
const OPEN = "new,regressed";

const issueReason = (issue: Issue): Reason | undefined =>
  why("issue", issue.state, undefined, { component: issue.component, environment: issue.environment });

const issueState = (issue: Issue): Cell => ({ ...state(issue.state), why: issueReason(issue) });

const placeText = ({ place }: Issue): string =>
  place ? `${place.file}:${place.line}${place.function ? ` (${place.function})` : ""}` : "";

function spark(issue: Issue): Cell {
  const values = issue.hours.slice(-HOURS_IN_LIST);
  const count = values.reduce((sum, value) => sum + value, 0);
  return { kind: "spark", values, text: m.occurrences_in({ count, hours: HOURS_IN_LIST }), tone: "bad" };
}

export function issueActions(tenant: string, issue: Issue): Action[] {
  const change = (body: Schemas["IssueChange"]): Promise<unknown> =>
    take(
      api.PATCH("/v1/tenants/{tenant}/issues/{issue}", {
        params: { path: { tenant, issue: issue.id } },
        headers: ifMatch(issue.revision),
        body,
      }),
    );
  const resolve: Action = {
    id: "resolve-issue",
    label: m.act_resolve_issue(),
    tone: "primary",
    fields: [
      {
        name: "version",
        label: m.last_version_with_it(),
        kind: "number",
        value: String(issue.newest_version),
        required: true,
        hint: m.last_version_with_it_hint(),
      },
    ],
    async run({ version }) {
      await change({ state: "resolved", version: Number(version) });
    },
  };
  const ignore: Action = {
    id: "ignore-issue",
    label: m.ignore(),
    fields: [
      { name: "count", label: m.ignore_count(), kind: "number", hint: m.ignore_count_hint() },
      { name: "until", label: m.until(), kind: "time", hint: m.ignore_until_hint() },
    ],
    async run({ count = "", until = "" }) {
      const at = milliseconds(until);
      await change({
        state: "ignored",
        ...(count === "" ? {} : { for_count: Number(count) }),
        ...(at === undefined ? {} : { until: at }),
      });
    },
  };
  const reopen: Action = {
    id: "reopen-issue",
    label: m.reopen(),
    async run() {
      await change({ state: "new" });
    },
  };
  const assign: Action = {
    id: "assign-issue",
    label: m.assign(),
    fields: [
      {
        name: "user",
        label: m.assigned_to(),
        kind: "text",
        value: issue.assigned_to ?? "",
        hint: m.assigned_to_hint(),
      },
    ],
    async run({ user = "" }) {
      await change({ assigned_to: user.trim() === "" ? null : user.trim() });
    },
  };
  const isOpen = issue.state === "new" || issue.state === "regressed";
  return isOpen ? [resolve, ignore, assign] : [reopen, assign];
}

// Failures that are in no issue are told of, since the list would seem whole without them.
const totals = (tenant: string): Promise<(Reason | undefined)[]> =>
  take(api.GET("/v1/tenants/{tenant}/issues/totals", { params: { path: { tenant } } })).then(
    ({ folded, unrecorded }) => [
      folded > 0 ? why("issues", "folded", number(folded)) : undefined,
      unrecorded > 0 ? why("issues", "unrecorded", number(unrecorded)) : undefined,
    ],
  );

export function issues(tenant: string, fixed: Record<string, string> = {}): List<Issue> {
  return {
    title: m.issues(),
    intro: m.issues_intro(),
    async load(after, filters): Promise<Page<Issue>> {
      const { state: wanted, component, environment, text: words, since } = { ...filters, ...fixed };
      const from = sinceTime(since);
      const [page, reasons] = await Promise.all([
        take(
          api.GET("/v1/tenants/{tenant}/issues", {
            params: {
              path: { tenant },
              query: {
                ...given({ after, state: wanted, component, environment, text: words }),
                ...(from === undefined ? {} : { since: from }),
              },
            },
          }),
        ),
        after === undefined && fixed["component"] === undefined ? totals(tenant).catch(() => []) : [],
      ]);
      return { ...page, reasons };
    },
    key: (row) => row.id,
    href: (row) => path("t", tenant, "issues", row.id),
    columns: [
      { label: m.issue(), cell: (row) => text(row.title) },
      { label: m.state(), cell: issueState },
      ...(fixed["component"]
        ? []
        : [
            {
              label: m.component(),
              cell: (row: Issue) => link(row.component, path("t", tenant, "components", row.component)),
            },
            { label: m.environment(), wide: true, cell: (row: Issue) => text(environmentName(row.environment)) },
          ]),
      { label: m.place(), wide: true, cell: (row) => mono(placeText(row)) },
      { label: m.two_days(), cell: spark },
      { label: m.occurrences(), right: true, wide: true, cell: (row) => text(number(row.count)) },
      { label: m.last_seen(), cell: (row) => time(row.last_seen.at) },
      { label: m.assigned_to(), wide: true, cell: (row) => text(row.assigned_to) },
    ],
    rowActions: (row) => issueActions(tenant, row).filter((action) => /^(resolve|reopen)/.test(action.id)),
    filters: [
      {
        name: "state",
        label: m.state(),
        choices: [
          { value: OPEN, label: m.open_issues() },
          { value: "new", label: m.state_new() },
          { value: "regressed", label: m.state_regressed() },
          { value: "resolved", label: m.state_resolved() },
          { value: "ignored", label: m.state_ignored() },
        ],
      },
      componentFilter(),
      environmentFilter(),
      sinceFilter(),
      { name: "text", label: m.search() },
    ],
    empty: m.issues_empty(),
    every: 5_000,
  };
}

/** The newest executions in which an issue occurred. Those that are not kept any more stay as their ids. */
function samples(tenant: string, issue: Issue): List<Occurrence> {
  const of = (cell: (record: Schemas["ExecutionRecord"]) => Cell) => (row: Occurrence) =>
    row.record === undefined ? text("") : cell(row.record);
  return {
    title: m.samples(),
    intro: m.samples_intro(),
    async load() {
      const items = await Promise.all(
        issue.samples.map(async (id) => ({
          id,
          record: await take(
            api.GET("/v1/tenants/{tenant}/executions/{execution}", { params: { path: { tenant, execution: id } } }),
          ).catch(() => undefined),
        })),
      );
      return { items };
    },
    key: (row) => row.id,
    href: (row) => path("t", tenant, "executions", row.id),
    columns: [
      { label: m.execution(), cell: (row) => mono(row.id) },
      ...executionColumns(tenant, true).map((column) => ({ ...column, cell: of((record) => column.cell(record, {})) })),
    ],
    empty: m.none(),
  };
}

export function issue(tenant: string, id: string): DetailPage {
  return {
    crumbs: [{ text: m.issues(), href: path("t", tenant, "issues") }],
    async load() {
      const row = await take(
        api.GET("/v1/tenants/{tenant}/issues/{issue}", { params: { path: { tenant, issue: id } } }),
      );
      const versionLink = (version: number): Cell =>
        link(String(version), path("t", tenant, "components", row.component, "versions", version));
      const end = Math.floor(Date.now() / HOUR) * HOUR;
      const source: Section[] =
        row.source && row.place
          ? [
              {
                title: m.source_code(),
                view: "source",
                source: {
                  file: row.place.file,
                  first: row.source.first_line,
                  lines: row.source.lines,
                  line: row.place.line,
                  column: row.place.column,
                },
              },
            ]
          : [];
      return {
        title: row.title,
        facts: [
          { label: m.state(), cell: issueState(row) },
          { label: m.code(), cell: mono(row.code) },
          { label: m.component(), cell: link(row.component, path("t", tenant, "components", row.component)) },
          { label: m.environment(), cell: text(environmentName(row.environment)) },
          { label: m.place(), cell: mono(placeText(row)) },
          { label: m.occurrences(), cell: text(number(row.count)) },
          { label: m.first_seen(), cell: time(row.first_seen.at) },
          { label: m.first_version(), cell: versionLink(row.first_seen.version) },
          { label: m.last_seen(), cell: time(row.last_seen.at) },
          { label: m.newest_version(), cell: versionLink(row.newest_version) },
          { label: m.assigned_to(), cell: text(row.assigned_to) },
          ...(row.version === null || row.version === undefined
            ? []
            : [
                {
                  label: row.state === "resolved" ? m.last_version_with_it() : m.came_back_in(),
                  cell: versionLink(row.version),
                },
              ]),
          ...(row.until ? [{ label: m.ignored_until(), cell: time(row.until) }] : []),
          ...(row.until_count ? [{ label: m.ignored_until_count(), cell: text(number(row.until_count)) }] : []),
        ],
        reasons: [issueReason(row)],
        actions: issueActions(tenant, row),
        sections: [
          ...source,
          {
            title: m.occurrences_by_hour(),
            view: "chart",
            chart: {
              label: m.occurrences_by_hour(),
              times: row.hours.map((_, index) => end - (row.hours.length - 1 - index) * HOUR),
              series: [{ label: m.occurrences(), color: "--bad", values: row.hours }],
            },
          },
          section(m.samples(), samples(tenant, row)),
        ],
      };
    },
    every: 10_000,
  };
}
