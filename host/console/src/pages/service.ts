// The parts of a component's page that are lists and facts.

import { api, ifMatch, take, type Environment, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { bytes, number } from "../lib/format";
import { state } from "../lib/states";
import { why, type Reason } from "../lib/why";
import {
  json,
  link,
  mono,
  section,
  text,
  time,
  type Action,
  type Cell,
  type DetailPage,
  type Fact,
  type List,
} from "../kit/types";
import { m } from "../lib/texts";
import { ENVIRONMENTS, amount, environmentChoices, environmentName, given, reasonField, words } from "./common";
import { packageReport } from "./platform";

export type Service = Schemas["ServiceStatus"];
type Version = Schemas["Version"];
type Deployment = Schemas["Deployment"];

export interface Place {
  tenant: string;
  component: string;
  environment: Environment;
}

const BASE = "/v1/tenants/{tenant}/components/{component}/environments/{environment}";

export function deployAction(
  place: Omit<Place, "environment">,
  version: number | undefined,
  environment?: Environment,
  service?: Service,
): Action {
  return {
    id: "deploy",
    label: m.act_deploy(),
    tone: "primary",
    fields: [
      {
        name: "version",
        label: m.version(),
        kind: "number",
        value: version === undefined ? "" : String(version),
        required: true,
      },
      {
        name: "environment",
        label: m.environment(),
        kind: "choice",
        choices: environmentChoices(),
        value: environment ?? "production",
      },
      { name: "canary", label: m.canary_steps(), kind: "text", hint: m.canary_steps_hint() },
      reasonField(),
    ],
    async run({ version: wanted, environment: where = "production", canary = "", reason = "" }) {
      const steps = words(canary).map(Number);
      const target = { ...place, environment: where as Environment };
      await take(
        api.POST(`${BASE}/deployments`, {
          params: { path: target },
          body: {
            version: Number(wanted),
            reason,
            ...(steps.length > 0 ? { rollout: { steps } } : {}),
            ...(service !== undefined && where === service.environment ? { revision: service.revision } : {}),
          },
        }),
      );
      const query = new URLSearchParams({ environment: where, tab: steps.length > 0 ? "rollout" : "overview" });
      return { go: `${path("t", place.tenant, "components", place.component)}?${query.toString()}` };
    },
  };
}

export function serviceActions(place: Place, service: Service): Action[] {
  const params = { path: place };
  const others = ENVIRONMENTS.filter((environment) => environment !== place.environment);
  const stopped = service.stopped || service.release.health.state === "stopped";
  return [
    stopped
      ? {
          id: "start",
          label: m.act_start(),
          tone: "primary",
          async run() {
            await take(api.POST(`${BASE}/start`, { params }));
          },
        }
      : {
          id: "stop",
          label: m.stop(),
          tone: "danger",
          confirm: m.stop_service_confirm(),
          async run() {
            await take(api.POST(`${BASE}/stop`, { params }));
          },
        },
    {
      id: "rollback",
      label: m.act_rollback(),
      confirm: m.rollback_confirm(),
      fields: [{ name: "to", label: m.version(), kind: "number", hint: m.rollback_hint() }],
      async run({ to }) {
        await take(
          api.POST(`${BASE}/rollback`, {
            params,
            headers: ifMatch(service.revision),
            body: to ? { to: Number(to) } : {},
          }),
        );
      },
    },
    {
      id: "promote",
      label: m.promote_to(),
      fields: [
        {
          name: "environment",
          label: m.environment(),
          kind: "choice",
          choices: others.map((value) => ({ value, label: environmentName(value) })),
          value: others[0] ?? "",
        },
        reasonField(),
      ],
      async run({ environment = "", reason = "" }) {
        await take(
          api.POST(`${BASE}/deployments`, {
            params: { path: { ...place, environment: environment as Environment } },
            body: { promote_from: place.environment, reason },
          }),
        );
      },
    },
    {
      id: "purge",
      label: m.purge(),
      confirm: m.purge_confirm(),
      async run() {
        await take(api.POST(`${BASE}/purge`, { params }));
      },
    },
  ];
}

export function serviceReasons(service: Service): (Reason | undefined)[] {
  const context = { component: service.component, environment: service.environment };
  const { release, rollout } = service;
  return [
    service.stopped
      ? why("release", "stopped-by-hand", undefined, context)
      : why("service", release.health.state, release.health.reason, context),
    release.problem ? why("release", "problem", release.problem, context) : undefined,
    service.stopped || release.trigger_health.state === release.health.state
      ? undefined
      : why("trigger-health", release.trigger_health.state, release.trigger_health.reason, context),
    service.pending ? why("release", "pending", undefined, context) : undefined,
    rollout ? why("rollout", rollout.state, rollout.waiting || rollout.reason, context) : undefined,
  ];
}

export const metricFacts = (metrics: Schemas["VersionMetrics"]): Fact[] => [
  { label: m.requests(), cell: text(number(metrics.requests)) },
  { label: m.failures(), cell: text(number(metrics.failures)) },
  {
    label: "p99",
    cell: text(metrics.p99_us === null || metrics.p99_us === undefined ? "" : `${number(metrics.p99_us / 1000)} ms`),
  },
  { label: m.fuel_mean(), cell: text(number(metrics.fuel_mean)) },
];

export function serviceFacts(place: Place, service: Service): Fact[] {
  const { release } = service;
  return [
    {
      label: m.health(),
      cell: state(service.stopped ? "stopped" : release.health.state, "service", release.health.reason),
    },
    {
      label: m.trigger_health(),
      cell: state(release.trigger_health.state, "trigger-health", release.trigger_health.reason),
    },
    {
      label: m.serving_version(),
      cell: link(
        String(release.version),
        path("t", place.tenant, "components", place.component, "versions", release.version),
      ),
    },
    { label: m.loaded(), cell: text(release.loaded ? m.yes() : m.no()) },
    { label: m.address(), cell: mono(service.url ?? service.host) },
    ...metricFacts(release.figures),
    { label: m.running(), cell: text(number(service.executions.length)) },
    { label: m.revision(), cell: text(service.revision) },
    { label: m.digest(), cell: mono(release.digest) },
  ];
}

export function versions(
  tenant: string,
  component: string,
  environment: Environment,
  service?: Service,
): List<Version> {
  return {
    title: m.versions(),
    load: (after) =>
      take(
        api.GET("/v1/tenants/{tenant}/components/{component}/versions", {
          params: { path: { tenant, component }, query: given({ after }) },
        }),
      ),
    key: (row) => String(row.number),
    href: (row) => path("t", tenant, "components", component, "versions", row.number),
    columns: [
      { label: m.version(), cell: (row) => text(row.number) },
      { label: m.state(), cell: (row) => (row.number === service?.release.version ? state("active") : text("")) },
      { label: m.size(), right: true, cell: (row) => text(bytes(row.bytes)) },
      { label: m.created(), cell: (row) => time(row.created_at) },
      { label: m.by(), cell: (row, names) => text(names[row.created_by] ?? row.created_by) },
      { label: m.signed_by(), wide: true, cell: (row) => mono(row.signed_by) },
      {
        label: m.log_entry(),
        wide: true,
        right: true,
        cell: (row) => link(String(row.log_index), `/log?entry=${row.log_index}`),
      },
      { label: m.digest(), wide: true, cell: (row) => mono(row.digest.slice(0, 12)) },
    ],
    rowActions: (row) => [deployAction({ tenant, component }, row.number, environment, service)],
    empty: m.versions_empty(),
  };
}

export function deployments(place: Place): List<Deployment> {
  return {
    title: m.deployments(),
    load: (after) => take(api.GET(`${BASE}/deployments`, { params: { path: place, query: given({ after }) } })),
    key: (row) => row.id,
    columns: [
      { label: m.time(), cell: (row) => time(row.created_at) },
      {
        label: m.version(),
        right: true,
        cell: (row) =>
          link(String(row.version), path("t", place.tenant, "components", place.component, "versions", row.version)),
      },
      { label: m.state(), cell: (row) => state(row.state, "deployment", row.reason) },
      { label: m.replaces(), right: true, wide: true, cell: (row) => text(row.replaces) },
      { label: m.by(), cell: (row, names) => text(names[row.created_by] ?? row.created_by) },
      { label: m.reason(), cell: (row) => text(row.reason) },
      { label: m.ended(), wide: true, cell: (row) => time(row.ended_at) },
    ],
    empty: m.deployments_empty(),
  };
}

export function secrets(place: Place): List<string> {
  const put = async (name: string, value: string): Promise<void> => {
    await take(api.PUT(`${BASE}/secrets/{name}`, { params: { path: { ...place, name } }, body: { value } }));
  };
  return {
    title: m.secrets(),
    intro: m.secrets_intro(),
    load: (): Promise<Page<string>> => take(api.GET(`${BASE}/secrets`, { params: { path: place } })),
    key: (name) => name,
    columns: [{ label: m.name(), cell: (name) => mono(name) }],
    rowActions: (name) => [
      {
        id: "set-secret",
        label: m.replace(),
        fields: [{ name: "value", label: m.value(), kind: "secret", required: true }],
        run: ({ value = "" }) => put(name, value),
      },
      {
        id: "delete-secret",
        label: m.remove(),
        tone: "danger",
        confirm: m.delete_confirm({ name }),
        async run() {
          await take(api.DELETE(`${BASE}/secrets/{name}`, { params: { path: { ...place, name } } }));
        },
      },
    ],
    actions: [
      {
        id: "add-secret",
        label: m.set_secret(),
        tone: "primary",
        fields: [
          { name: "name", label: m.name(), kind: "text", required: true },
          { name: "value", label: m.value(), kind: "secret", required: true, hint: m.secret_hint() },
        ],
        run: ({ name = "", value = "" }) => put(name, value),
      },
    ],
    empty: m.secrets_empty(),
  };
}

const listed = (list: string[]): Cell => mono(list.length === 0 ? m.none() : list.join("\n"));

/** What a version has removed and added, a name in each line. */
export const changedNames = (removed: string[], added: string[]): Cell =>
  listed([...removed.map((name) => `- ${name}`), ...added.map((name) => `+ ${name}`)]);

export function version(tenant: string, component: string, number_: number, other: number | undefined): DetailPage {
  const params = { path: { tenant, component, number: number_ } };
  const self = path("t", tenant, "components", component, "versions", number_);
  return {
    crumbs: [
      { text: m.components(), href: path("t", tenant, "components") },
      { text: component, href: path("t", tenant, "components", component) },
    ],
    async load() {
      const row = await take(api.GET("/v1/tenants/{tenant}/components/{component}/versions/{number}", { params }));
      const before = other ?? number_ - 1;
      const diff =
        before < 1 || before === number_
          ? undefined
          : await take(
              api.GET("/v1/tenants/{tenant}/components/{component}/versions/{number}/diff/{other}", {
                params: { path: { tenant, component, number: before, other: number_ } },
              }),
            ).catch(() => undefined);
      return {
        title: m.version_of({ component, version: number_ }),
        facts: [
          { label: m.size(), cell: text(bytes(row.bytes)) },
          { label: m.created(), cell: time(row.created_at) },
          { label: m.by(), cell: text(row.created_by) },
          { label: m.signed_by(), cell: mono(row.signed_by) },
          { label: m.log_entry(), cell: link(String(row.log_index), `/log?entry=${row.log_index}`) },
          { label: m.digest(), cell: mono(row.digest) },
        ],
        actions: [
          deployAction({ tenant, component }, number_),
          {
            id: "compare",
            label: m.compare(),
            fields: [
              {
                name: "other",
                label: m.version(),
                kind: "number",
                required: true,
                value: String(Math.max(1, number_ - 1)),
              },
            ],
            run: ({ other: wanted = "" }) =>
              Promise.resolve({ text: m.compare(), go: `${self}?with=${Number(wanted)}` }),
          },
          {
            id: "compare-lines",
            label: m.compare_lines(),
            run: () => Promise.resolve({ text: m.compare_lines(), go: `${self}/diff/${Math.max(1, before)}` }),
          },
          {
            id: "specification",
            label: m.specification(),
            run: () => Promise.resolve({ text: m.specification(), go: `${self}/spec` }),
          },
          {
            id: "delete-version",
            label: m.remove(),
            tone: "danger",
            confirm: m.delete_confirm({ name: `${component} ${number_}` }),
            async run() {
              await take(api.DELETE("/v1/tenants/{tenant}/components/{component}/versions/{number}", { params }));
              return { go: `${path("t", tenant, "components", component)}?tab=versions` };
            },
          },
        ],
        sections: [
          ...(diff === undefined
            ? []
            : [
                {
                  title: m.changes_since({ version: before }),
                  facts: [
                    { label: m.changes(), cell: listed(diff.changes) },
                    { label: m.sources(), cell: changedNames(diff.sources_removed, diff.sources_added) },
                    { label: m.imports(), cell: changedNames(diff.imports_removed, diff.imports_added) },
                    { label: m.packages(), cell: changedNames(diff.packages_removed, diff.packages_added) },
                  ],
                },
              ]),
          { title: m.limits(), facts: limitFacts(row.settings.limits) },
          { title: m.capabilities(), json: row.settings.capabilities ?? {} },
          { title: m.manifest(), json: row.manifest },
          { title: m.settings(), json: row.settings },
          section(m.packages(), packageReport(tenant, component, number_)),
        ],
      };
    },
  };
}

export function limitFacts(limits: Record<string, number> | null | undefined): Fact[] {
  const entries = Object.entries(limits ?? {});
  return entries.length === 0
    ? [{ label: m.limits(), cell: text(m.limits_default()) }]
    : entries.map(([name, value]) => ({ label: name, cell: text(amount(name, value)) }));
}

/** The routes, rules and limits of what serves. */
export function limitsPage(place: Place, service: Service): DetailPage {
  return {
    crumbs: [],
    async load() {
      const row = await take(
        api.GET("/v1/tenants/{tenant}/components/{component}/versions/{number}", {
          params: { path: { tenant: place.tenant, component: place.component, number: service.release.version } },
        }),
      );
      return {
        title: m.routes_and_limits(),
        facts: limitFacts(row.settings.limits),
        sections: [
          { title: m.routes(), json: row.settings.gateway ?? null },
          { title: m.supervision(), json: row.settings.supervision ?? null },
          { title: m.capabilities(), json: row.settings.capabilities ?? {} },
          { title: m.triggers(), json: row.settings.triggers ?? null },
          { title: m.targeting_rules(), facts: [{ label: m.targeting_rules(), cell: json(service.flags) }] },
        ],
      };
    },
  };
}
