// Alerts, and what decides about them: rules, silences and receivers.

import { alertMetricNameValues, alertSeverityValues, groupLabelValues, noDataValues } from "../api/schema";
import { api, ApiError, ifMatch, take, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { duration, number } from "../lib/format";
import { state } from "../lib/states";
import { why, type Reason } from "../lib/why";
import {
  link,
  mono,
  section,
  tags,
  text,
  time,
  type Action,
  type Cell,
  type Choice,
  type DetailPage,
  type Field,
  type List,
  type Values,
} from "../kit/types";
import { m } from "../lib/texts";
import { environmentChoices, environmentName, given, words } from "./common";

type Alert = Schemas["Alert"];
type Rule = Schemas["AlertRule"];
type Settings = Schemas["AlertRuleSettings"];
type Silence = Schemas["Silence"];
type Matcher = Schemas["AlertMatcher"];
type Receiver = Schemas["Receiver"];

const SECOND = 1_000_000;
const HOUR_SECONDS = 3_600;

const at = (tenant: string, ...rest: string[]): string => path("t", tenant, "alerts", ...rest);
const tabs = (tenant: string) => [
  { text: m.alerts(), href: at(tenant) },
  { text: m.alert_rules(), href: at(tenant, "rules") },
  { text: m.silences(), href: at(tenant, "silences") },
  { text: m.receivers(), href: at(tenant, "receivers") },
];
const same = (value: string): Choice => ({ value, label: value });
const none: Choice = { value: "", label: "\u2013" };

const severity = (row: { severity?: Schemas["AlertSeverity"] }): Cell => state(row.severity ?? "warning");

const alertReason = (alert: Alert): Reason | undefined =>
  alert.silence
    ? why("alert-silence", "silenced")
    : why("alert", alert.state, undefined, {
        ...(alert.component ? { component: alert.component } : {}),
        ...(alert.environment ? { environment: alert.environment } : {}),
      });

const alertState = (alert: Alert): Cell => ({ ...state(alert.state), why: alertReason(alert) }) as Cell;

/** Creates a silence for what a matcher names, or for what is entered if there is none. */
export function silenceAction(tenant: string, matcher?: Matcher): Action {
  const fields: Field[] =
    matcher === undefined
      ? [
          { name: "rule", label: m.alert_rule(), kind: "text", hint: m.silence_hint() },
          { name: "component", label: m.component(), kind: "text" },
          { name: "environment", label: m.environment(), kind: "choice", choices: [none, ...environmentChoices()] },
          { name: "severity", label: m.severity(), kind: "choice", choices: [none, ...alertSeverityValues.map(same)] },
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
      { name: "severity", label: m.severity(), choices: alertSeverityValues.map(same) },
    ],
    empty: m.alerts_empty(),
    every: 5_000,
  };
}

const NUMBERS = [
  ["threshold", () => m.threshold()],
  ["window_seconds", () => m.window_seconds()],
  ["for_seconds", () => m.for_seconds()],
  ["keep_firing_for_seconds", () => m.keep_firing_for_seconds()],
  ["group_wait_seconds", () => m.group_wait_seconds()],
  ["group_interval_seconds", () => m.group_interval_seconds()],
] as const;
const DEFAULTS: Settings = {
  metric: "error-percent",
  threshold: 0,
  window_seconds: 300,
  for_seconds: 0,
  keep_firing_for_seconds: 300,
  group_wait_seconds: 0,
  group_interval_seconds: 300,
};
const CONDITIONS = [
  { value: "above", label: () => m.above() },
  { value: "below", label: () => m.below() },
];

function ruleFields(settings: Settings): Field[] {
  return [
    {
      name: "metric",
      label: m.metric(),
      kind: "choice",
      choices: alertMetricNameValues.map(same),
      value: settings.metric,
      hint: m.metric_hint(),
    },
    { name: "pattern", label: m.log_text(), kind: "text", value: settings.pattern ?? "", hint: m.log_text_hint() },
    {
      name: "component",
      label: m.component(),
      kind: "text",
      value: settings.component ?? "",
      hint: m.empty_is_all(),
    },
    {
      name: "environment",
      label: m.environment(),
      kind: "choice",
      choices: [{ value: "", label: m.all() }, ...environmentChoices()],
      value: settings.environment ?? "",
    },
    {
      name: "condition",
      label: m.condition(),
      kind: "choice",
      choices: CONDITIONS.map(({ value, label }) => ({ value, label: label() })),
      value: settings.condition ?? "above",
    },
    ...NUMBERS.map(([name, label]): Field => ({
      name,
      label: label(),
      kind: "number",
      value: String(settings[name] ?? DEFAULTS[name]),
      required: true,
    })),
    {
      name: "no_data",
      label: m.without_data(),
      kind: "choice",
      choices: noDataValues.map((value) => ({ value, label: noDataName(value) })),
      value: settings.no_data ?? "ok",
    },
    {
      name: "severity",
      label: m.severity(),
      kind: "choice",
      choices: alertSeverityValues.map(same),
      value: settings.severity ?? "warning",
    },
    {
      name: "group_by",
      label: m.group_by(),
      kind: "text",
      value: (settings.group_by ?? []).join(" "),
      hint: m.group_by_hint({ labels: groupLabelValues.join(", ") }),
    },
    {
      name: "receivers",
      label: m.receivers(),
      kind: "text",
      value: (settings.receivers ?? []).join(" "),
      hint: m.empty_is_all(),
    },
    { name: "summary", label: m.summary(), kind: "text", value: settings.summary ?? "" },
    { name: "runbook", label: m.runbook(), kind: "text", value: settings.runbook ?? "", hint: m.runbook_hint() },
    { name: "enabled", label: m.rule_enabled(), kind: "check", value: settings.enabled === false ? "" : "true" },
  ];
}

const noDataName = (value: Schemas["NoData"]): string =>
  value === "ok" ? m.no_data_ok() : value === "alert" ? m.no_data_alert() : m.no_data_keep();

function settingsOf(values: Values): Settings {
  const { metric, pattern, component, environment, condition, no_data, severity: severe, runbook } = values;
  return {
    metric: metric as Settings["metric"],
    ...(given({ pattern, component, environment, runbook }) as Partial<Settings>),
    condition: condition as Schemas["AlertCondition"],
    ...(Object.fromEntries(NUMBERS.map(([name]) => [name, Number(values[name])])) as Pick<Settings, "threshold">),
    no_data: no_data as Schemas["NoData"],
    severity: severe as Schemas["AlertSeverity"],
    group_by: words(values["group_by"] ?? "") as Schemas["GroupLabel"][],
    receivers: words(values["receivers"] ?? ""),
    summary: values["summary"] ?? "",
    enabled: values["enabled"] === "true",
  };
}

async function setRule(tenant: string, rule: string, settings: Settings, revision: number): Promise<void> {
  await take(
    api.PUT("/v1/tenants/{tenant}/alert-rules/{rule}", {
      params: { path: { tenant, rule } },
      // A built-in rule that nobody has changed has no revision to compare with.
      ...(revision === 0 ? {} : { headers: ifMatch(revision) }),
      body: settings,
    }),
  );
}

function ruleActions(tenant: string, { name, settings, built_in, revision }: Rule): Action[] {
  const isOn = settings.enabled !== false;
  return [
    {
      id: "edit-rule",
      label: m.edit(),
      tone: "primary",
      fields: ruleFields(settings),
      run: (values) => setRule(tenant, name, settingsOf(values), revision),
    },
    {
      id: isOn ? "disable-rule" : "enable-rule",
      label: isOn ? m.disable_rule() : m.act_enable_rule(),
      run: () => setRule(tenant, name, { ...settings, enabled: !isOn }, revision),
    },
    silenceAction(tenant, { rule: name }),
    // What is built in and was not changed cannot be deleted.
    ...(revision === 0
      ? []
      : [
          {
            id: "delete-rule",
            label: built_in ? m.back_to_built_in() : m.remove(),
            tone: "danger" as const,
            confirm: built_in ? m.back_to_built_in_confirm() : m.delete_confirm({ name }),
            async run() {
              await take(
                api.DELETE("/v1/tenants/{tenant}/alert-rules/{rule}", { params: { path: { tenant, rule: name } } }),
              );
              return { go: at(tenant, "rules") };
            },
          },
        ]),
  ];
}

const ruleState = (rule: Rule): Cell =>
  rule.settings.enabled === false
    ? ({ ...state("disabled"), why: why("alert-rule", "disabled") } as Cell)
    : state("enabled");

const seconds = (value: number | undefined): Cell => text(value ? duration(value * SECOND) : "");

const conditionText = ({ metric, condition, threshold }: Settings): string =>
  `${metric} ${condition === "below" ? "<" : ">"} ${number(threshold)}`;

export function rules(tenant: string): List<Rule> {
  return {
    title: m.alert_rules(),
    tabs: tabs(tenant),
    intro: m.alert_rules_intro(),
    load: (after) =>
      take(api.GET("/v1/tenants/{tenant}/alert-rules", { params: { path: { tenant }, query: given({ after }) } })),
    key: (row) => row.name,
    href: (row) => at(tenant, "rules", row.name),
    columns: [
      { label: m.name(), cell: (row) => text(row.name) },
      { label: m.state(), cell: ruleState },
      { label: m.severity(), wide: true, cell: (row) => severity(row.settings) },
      { label: m.condition(), cell: (row) => mono(conditionText(row.settings)) },
      { label: m.holds_for(), wide: true, right: true, cell: (row) => seconds(row.settings.for_seconds) },
      { label: m.summary(), wide: true, cell: (row) => text(row.settings.summary) },
      { label: m.origin(), wide: true, cell: (row) => text(row.revision === 0 ? m.built_in() : m.own_rule()) },
    ],
    rowActions: (row) => ruleActions(tenant, row).filter((action) => /able-rule$/.test(action.id)),
    actions: [
      {
        id: "create-rule",
        label: m.create_rule(),
        tone: "primary",
        fields: [
          { name: "name", label: m.name(), kind: "text", required: true, hint: m.name_hint() },
          ...ruleFields(DEFAULTS),
        ],
        async run({ name = "", ...values }) {
          await setRule(tenant, name, settingsOf(values), 0);
          return { go: at(tenant, "rules", name) };
        },
      },
    ],
    filters: [{ name: "q", label: m.search(), local: true }],
    empty: m.none(),
  };
}

export function rule(tenant: string, name: string): DetailPage {
  return {
    crumbs: [
      { text: m.alerts(), href: at(tenant) },
      { text: m.alert_rules(), href: at(tenant, "rules") },
    ],
    async load() {
      const [found, active] = await Promise.all([
        take(api.GET("/v1/tenants/{tenant}/alert-rules/{rule}", { params: { path: { tenant, rule: name } } })),
        take(api.GET("/v1/tenants/{tenant}/alerts", { params: { path: { tenant }, query: { limit: 1000 } } })),
      ]);
      const { settings } = found;
      const own = active.items.filter((alert) => alert.rule === name);
      // One reason for each of them that there is, with the services that it is about.
      const reasons = new Map<string, Reason>();
      for (const alert of own) {
        const reason = alertReason(alert);
        if (reason === undefined) continue;
        const about = [alert.component, alert.environment && environmentName(alert.environment)]
          .filter(Boolean)
          .join(", ");
        const former = reasons.get(reason.sentence)?.detail;
        reasons.set(reason.sentence, { ...reason, detail: former ? `${former}; ${about}` : about });
      }
      return {
        title: found.name,
        facts: [
          { label: m.state(), cell: ruleState(found) },
          { label: m.severity(), cell: severity(settings) },
          { label: m.condition(), cell: mono(conditionText(settings)) },
          ...(settings.pattern ? [{ label: m.log_text(), cell: mono(settings.pattern) }] : []),
          { label: m.component(), cell: text(settings.component ?? m.all()) },
          { label: m.environment(), cell: text(settings.environment ? environmentName(settings.environment) : m.all()) },
          { label: m.window(), cell: seconds(settings.window_seconds) },
          { label: m.holds_for(), cell: seconds(settings.for_seconds) },
          { label: m.keeps_firing(), cell: seconds(settings.keep_firing_for_seconds) },
          { label: m.without_data(), cell: text(noDataName(settings.no_data ?? "ok")) },
          { label: m.group_by(), cell: tags(settings.group_by) },
          { label: m.receivers(), cell: settings.receivers?.length ? tags(settings.receivers) : text(m.all()) },
          { label: m.summary(), cell: text(settings.summary) },
          { label: m.runbook(), cell: mono(settings.runbook) },
          { label: m.origin(), cell: text(found.revision === 0 ? m.built_in() : m.own_rule()) },
          { label: m.changed(), cell: time(found.changed_at || undefined) },
        ],
        reasons: [
          settings.enabled === false ? why("alert-rule", "disabled") : undefined,
          ...reasons.values(),
        ],
        actions: ruleActions(tenant, found),
        sections: [section(m.alerts(), alerts(tenant, name))],
      };
    },
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

/** A secret as the platform takes it: 32 random bytes. */
function newSecret(): string {
  const bytes = crypto.getRandomValues(new Uint8Array(32));
  return `whsec_${btoa(String.fromCharCode(...bytes))}`;
}

const KINDS: [Schemas["ReceiverKind"], () => string][] = [
  ["webhook", () => m.receiver_webhook()],
  ["slack", () => m.receiver_slack()],
  ["mail", () => m.receiver_mail()],
  ["events", () => m.receiver_events()],
];

const receiverFields = (kind: Schemas["ReceiverKind"]): Field[] => [
  {
    name: "kind",
    label: m.kind(),
    kind: "choice",
    choices: KINDS.map(([value, label]) => ({ value, label: label() })),
    value: kind,
  },
  { name: "target", label: m.receiver_target(), kind: "text", hint: m.receiver_target_hint() },
  { name: "secret", label: m.receiver_secret(), kind: "secret", hint: m.receiver_secret_hint() },
];

async function setReceiver(tenant: string, receiver: string, values: Values, revision?: number) {
  const { kind, target = "", secret: entered = "" } = values;
  const secret = entered === "" ? newSecret() : entered;
  const body: Schemas["ReceiverSettings"] =
    kind === "webhook"
      ? { kind, url: target.trim(), secret }
      : kind === "slack"
        ? { kind, url: target.trim() }
        : kind === "mail"
          ? { kind, to: words(target) }
          : { kind: "events" };
  await take(
    api.PUT("/v1/tenants/{tenant}/receivers/{receiver}", {
      params: { path: { tenant, receiver } },
      ...(revision === undefined ? {} : { headers: ifMatch(revision) }),
      body,
    }),
  );
  return kind === "webhook" && entered === "" ? { secret } : {};
}

function receiverState(row: Receiver): Cell {
  if (row.error) return { ...state("failed"), why: why("receiver", "failing", row.error) } as Cell;
  return row.delivered_at ? state("good") : state("unknown");
}

export function receivers(tenant: string): List<Receiver> {
  const test = (row: Receiver): Action => ({
    id: "test-receiver",
    label: m.act_test_receiver(),
    async run() {
      const result = await take(
        api.POST("/v1/tenants/{tenant}/receivers/{receiver}/test", {
          params: { path: { tenant, receiver: row.name } },
        }),
      );
      if (!result.delivered) throw new ApiError("not-delivered", 200, result.error ?? "");
      return { text: m.test_delivered({ name: row.name }) };
    },
  });
  return {
    title: m.receivers(),
    tabs: tabs(tenant),
    intro: m.receivers_intro(),
    async load(after): Promise<Page<Receiver>> {
      const page = await take(
        api.GET("/v1/tenants/{tenant}/receivers", { params: { path: { tenant }, query: given({ after }) } }),
      );
      const failing = page.items.filter((row) => row.error);
      return {
        ...page,
        reasons: failing
          .slice(0, 3)
          .map((row) => why("receiver", "failing", `${row.name}: ${row.error ?? ""}`, { row: row.name })),
      };
    },
    key: (row) => row.name,
    columns: [
      { label: m.name(), cell: (row) => text(row.name) },
      { label: m.kind(), cell: (row) => text(KINDS.find(([kind]) => kind === row.kind)?.[1]() ?? row.kind) },
      { label: m.receiver_target(), wide: true, cell: (row) => mono(row.target) },
      { label: m.state(), cell: receiverState },
      { label: m.delivered(), cell: (row) => time(row.delivered_at) },
      { label: m.changed(), wide: true, cell: (row) => time(row.changed_at) },
      { label: m.by(), wide: true, cell: (row, names) => text(names[row.changed_by] ?? row.changed_by) },
    ],
    rowActions: (row) => [
      test(row),
      {
        id: "replace-receiver",
        label: m.replace(),
        fields: receiverFields(row.kind),
        run: (values) => setReceiver(tenant, row.name, values, row.revision),
      },
      {
        id: "delete-receiver",
        label: m.remove(),
        tone: "danger",
        confirm: m.delete_confirm({ name: row.name }),
        async run() {
          await take(
            api.DELETE("/v1/tenants/{tenant}/receivers/{receiver}", {
              params: { path: { tenant, receiver: row.name } },
            }),
          );
        },
      },
    ],
    actions: [
      {
        id: "create-receiver",
        label: m.create_receiver(),
        tone: "primary",
        fields: [
          { name: "name", label: m.name(), kind: "text", required: true, hint: m.name_hint() },
          ...receiverFields("webhook"),
        ],
        run: ({ name = "", ...values }) => setReceiver(tenant, name, values),
      },
    ],
    empty: m.receivers_empty(),
  };
}
