// Alert rules: when an alert fires, and who is told.

import { alertMetricNameValues, groupLabelValues, noDataValues } from "../api/schema";
import { api, ApiError, ifMatch, take, type Schemas } from "../lib/client";
import { duration, number } from "../lib/format";
import { state } from "../lib/states";
import { why, type Reason } from "../lib/why";
import {
  mono,
  section,
  tags,
  text,
  time,
  type Action,
  type Cell,
  type DetailPage,
  type Field,
  type List,
  type Values,
} from "../kit/types";
import { m } from "../lib/texts";
import { alertReason, alerts, at, severities, severity, silenceAction, tabs } from "./alerts";
import { environmentChoices, environmentName, given, words } from "./common";

type Rule = Schemas["AlertRule"];
type Settings = Schemas["AlertRuleSettings"];

const SECOND = 1_000_000;
const NUMBERS = [
  ["threshold", () => m.threshold()],
  ["window_seconds", () => m.window_seconds()],
  ["for_seconds", () => m.for_seconds()],
  ["keep_firing_for_seconds", () => m.keep_firing_for_seconds()],
  ["group_wait_seconds", () => m.group_wait_seconds()],
  ["group_interval_seconds", () => m.group_interval_seconds()],
] as const;
/** Of the numbers those that every rule is about come first. */
const FIRST_NUMBERS = 3;
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
  const numbers = NUMBERS.map(([name, label]): Field => ({
    name,
    label: label(),
    kind: "number",
    value: String(settings[name] ?? DEFAULTS[name]),
    required: true,
  }));
  return [
    {
      name: "metric",
      label: m.metric(),
      kind: "choice",
      choices: alertMetricNameValues.map((value) => ({ value, label: value })),
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
    ...numbers.slice(0, FIRST_NUMBERS),
    {
      name: "severity",
      label: m.severity(),
      kind: "choice",
      choices: severities(),
      value: settings.severity ?? "warning",
    },
    { name: "summary", label: m.summary(), kind: "text", value: settings.summary ?? "" },
    { name: "runbook", label: m.runbook(), kind: "text", value: settings.runbook ?? "", hint: m.runbook_hint() },
    {
      name: "receivers",
      label: m.receivers(),
      kind: "text",
      value: (settings.receivers ?? []).join(" "),
      hint: m.empty_is_all(),
    },
    ...numbers.slice(FIRST_NUMBERS),
    {
      name: "no_data",
      label: m.without_data(),
      kind: "choice",
      choices: noDataValues.map((value) => ({ value, label: noDataName(value) })),
      value: settings.no_data ?? "ok",
    },
    {
      name: "group_by",
      label: m.group_by(),
      kind: "text",
      value: (settings.group_by ?? []).join(" "),
      hint: m.group_by_hint({ labels: groupLabelValues.join(", ") }),
    },
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
    ? { ...state("disabled"), why: why("alert-rule", "disabled") }
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
          const { items } = await take(
            api.GET("/v1/tenants/{tenant}/alert-rules", { params: { path: { tenant }, query: { limit: 1000 } } }),
          );
          if (items.some((one) => one.name === name)) throw new ApiError("already-there", 409, name);
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
          {
            label: m.environment(),
            cell: text(settings.environment ? environmentName(settings.environment) : m.all()),
          },
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
