// Alerts, and silences of them.

import { alertSeverityValues } from "../api/schema";
import { api, take, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { number } from "../lib/format";
import { state, stateLabel } from "../lib/states";
import { why, type Reason } from "../lib/why";
import { link, tags, text, time, type Action, type Cell, type Choice, type Field, type List } from "../kit/types";
import { m } from "../lib/texts";
import { environmentChoices, environmentName, given } from "./common";

type Alert = Schemas["Alert"];
type Silence = Schemas["Silence"];
type Matcher = Schemas["AlertMatcher"];

const HOUR_SECONDS = 3_600;

/** The address of a page about alerts. */
export const at = (tenant: string, ...rest: string[]): string => path("t", tenant, "alerts", ...rest);
/** The lists about alerts. */
export const tabs = (tenant: string) => [
  { text: m.alerts(), href: at(tenant) },
  { text: m.alert_rules(), href: at(tenant, "rules") },
  { text: m.silences(), href: at(tenant, "silences") },
  { text: m.receivers(), href: at(tenant, "receivers") },
];
export const severities = (): Choice[] => alertSeverityValues.map((value) => ({ value, label: stateLabel(value) }));
const none: Choice = { value: "", label: "\u2013" };

export const severity = (row: { severity?: Schemas["AlertSeverity"] }): Cell => state(row.severity ?? "warning");

export const alertReason = (alert: Alert): Reason | undefined =>
  alert.silence
    ? why("alert-silence", "silenced")
    : why("alert", alert.state, undefined, {
        ...(alert.component ? { component: alert.component } : {}),
        ...(alert.environment ? { environment: alert.environment } : {}),
      });

const alertState = (alert: Alert): Cell => ({ ...state(alert.state), why: alertReason(alert) });

/** Creates a silence for what a matcher names, or for what is entered if there is none. */
export function silenceAction(tenant: string, matcher?: Matcher): Action {
  const fields: Field[] =
    matcher === undefined
      ? [
          { name: "rule", label: m.alert_rule(), kind: "text", hint: m.silence_hint() },
          { name: "component", label: m.component(), kind: "text" },
          { name: "environment", label: m.environment(), kind: "choice", choices: [none, ...environmentChoices()] },
          { name: "severity", label: m.severity(), kind: "choice", choices: [none, ...severities()] },
        ]
      : [];
  return {
    id: "silence",
    label: m.act_silence(),
    fields: [
      ...fields,
      { name: "hours", label: m.hours(), kind: "number", value: "2", required: true },
      { name: "reason", label: m.reason(), kind: "text", required: true },
    ],
    async run({ hours, reason = "", rule, component, environment, severity: severe }) {
      const entered = given({ rule, component, environment, severity: severe }) as Matcher;
      await take(
        api.POST("/v1/tenants/{tenant}/silences", {
          params: { path: { tenant } },
          body: { matcher: matcher ?? entered, seconds: Math.round(Number(hours) * HOUR_SECONDS), reason },
        }),
      );
    },
  };
}

function endSilence(tenant: string, silence: string): Action {
  return {
    id: "end-silence",
    label: m.end_silence(),
    async run() {
      await take(api.DELETE("/v1/tenants/{tenant}/silences/{silence}", { params: { path: { tenant, silence } } }));
    },
  };
}

const matcherOf = (alert: Alert): Matcher => ({
  rule: alert.rule,
  ...(alert.component ? { component: alert.component } : {}),
  ...(alert.environment ? { environment: alert.environment } : {}),
});

/** Alerts that are not inactive; of one rule, if it is given. */
export function alerts(tenant: string, rule?: string): List<Alert> {
  return {
    title: m.alerts(),
    ...(rule === undefined ? { tabs: tabs(tenant), intro: m.alerts_intro() } : {}),
    async load(after, { state: wanted, severity: severe }): Promise<Page<Alert>> {
      const page = await take(
        api.GET("/v1/tenants/{tenant}/alerts", { params: { path: { tenant }, query: given({ after }) } }),
      );
      const items = page.items.filter(
        (alert) =>
          (rule === undefined || alert.rule === rule) &&
          (!wanted || alert.state === wanted) &&
          (!severe || alert.severity === severe),
      );
      return { items, next: page.next ?? null };
    },
    key: (row) => `${row.rule}/${row.component ?? ""}/${row.environment ?? ""}`,
    href: (row) => at(tenant, "rules", row.rule),
    columns: [
      { label: m.alert_rule(), cell: (row) => text(row.rule) },
      { label: m.state(), cell: alertState },
      { label: m.severity(), wide: true, cell: severity },
      {
        label: m.component(),
        cell: (row) =>
          row.component ? link(row.component, path("t", tenant, "components", row.component)) : text(""),
      },
      {
        label: m.environment(),
        wide: true,
        cell: (row) => text(row.environment ? environmentName(row.environment) : ""),
      },
      { label: m.value(), right: true, wide: true, cell: (row) => text(row.value == null ? "" : number(row.value)) },
      { label: m.since(), cell: (row) => time(row.since) },
      { label: m.why(), wide: true, cell: (row) => text(alertReason(row)?.sentence ?? row.summary) },
    ],
    rowActions: (row) =>
      row.state === "resolved"
        ? []
        : row.silence
          ? [endSilence(tenant, row.silence)]
          : [silenceAction(tenant, matcherOf(row))],
    filters: [
      {
        name: "state",
        label: m.state(),
        choices: [
          { value: "pending", label: m.state_pending() },
          { value: "firing", label: m.state_firing() },
          { value: "recovering", label: m.state_recovering() },
          { value: "resolved", label: m.state_resolved() },
        ],
      },
      { name: "severity", label: m.severity(), choices: severities() },
    ],
    empty: m.alerts_empty(),
    every: 5_000,
  };
}

export function silences(tenant: string): List<Silence> {
  return {
    title: m.silences(),
    tabs: tabs(tenant),
    intro: m.silences_intro(),
    load: (after) =>
      take(api.GET("/v1/tenants/{tenant}/silences", { params: { path: { tenant }, query: given({ after }) } })),
    key: (row) => row.id,
    columns: [
      { label: m.reason(), cell: (row) => text(row.reason) },
      { label: m.silenced_alerts(), cell: (row) => tags(Object.values(row.matcher).filter(Boolean).map(String)) },
      { label: m.until(), cell: (row) => time(row.until) },
      { label: m.by(), cell: (row, names) => text(names[row.created_by] ?? row.created_by) },
      { label: m.created(), wide: true, cell: (row) => time(row.created_at) },
    ],
    rowActions: (row) => [endSilence(tenant, row.id)],
    actions: [{ ...silenceAction(tenant), tone: "primary" }],
    empty: m.silences_empty(),
  };
}
