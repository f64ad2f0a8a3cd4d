import { severityValues } from "../api/schema";
import { address, all, api, ApiError, ifMatch, take, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { date, number } from "../lib/format";
import { state } from "../lib/states";
import { why } from "../lib/why";
import {
  json,
  mono,
  section,
  tags,
  text,
  time,
  type Action,
  type Cell,
  type DetailPage,
  type Fact,
  type Field,
  type List,
} from "../kit/types";
import { m } from "../lib/texts";
import { amount, given, sinceFilter, sinceTime, words } from "./common";

type Tenant = Schemas["Tenant"];
type Settings = Schemas["TenantSettings"];
type Quotas = NonNullable<Settings["quotas"]>;
type Policy = Schemas["PackagePolicy"];

export function tenants(): List<Tenant> {
  return {
    title: m.tenants(),
    load: (after) => take(api.GET("/v1/tenants", { params: { query: given({ after }) } })),
    key: (row) => row.tenant,
    href: (row) => path("t", row.tenant, "quotas"),
    columns: [
      { label: m.name(), cell: (row) => text(row.tenant) },
      { label: m.trusted(), cell: (row) => text(row.settings.trusted ? m.yes() : m.no()) },
      { label: m.signed_only(), wide: true, cell: (row) => text(row.settings["require-signature"] ? m.yes() : m.no()) },
      { label: m.hosts(), wide: true, cell: (row) => tags(row.settings.hosts) },
      { label: m.created(), cell: (row) => time(row.created_at) },
      { label: m.revision(), right: true, wide: true, cell: (row) => text(row.revision) },
    ],
    rowActions: (row) => [
      {
        id: "delete-tenant",
        label: m.remove(),
        tone: "danger",
        confirm: m.delete_confirm({ name: row.tenant }),
        async run() {
          await take(api.DELETE("/v1/tenants/{tenant}", { params: { path: { tenant: row.tenant } } }));
        },
      },
    ],
    actions: [
      {
        id: "create-tenant",
        label: m.create_tenant(),
        tone: "primary",
        fields: [{ name: "tenant", label: m.name(), kind: "text", required: true, hint: m.name_hint() }],
        async run({ tenant = "" }) {
          await take(api.POST("/v1/tenants", { body: { tenant } }));
        },
      },
    ],
    filters: [{ name: "q", label: m.search(), local: true }],
    empty: m.tenants_empty(),
  };
}

// 0 is no quota, but for those that have no such value.
const quota = (key: string, value: number): string => (value === 0 ? m.no_quota() : amount(key, value));

function numbers(quotas: Quotas): [string, number][] {
  return Object.entries(quotas).filter((entry): entry is [string, number] => typeof entry[1] === "number");
}

function change(row: Tenant, settings: Settings): Promise<unknown> {
  return take(
    api.PUT("/v1/tenants/{tenant}", {
      params: { path: { tenant: row.tenant } },
      headers: ifMatch(row.revision),
      body: settings,
    }),
  );
}

/** What of the quotas is in use, as far as it can be counted from lists. */
async function used(tenant: string, quotas: Quotas): Promise<Fact[]> {
  const components = await all((after) =>
    take(
      api.GET("/v1/tenants/{tenant}/components", {
        params: { path: { tenant }, query: { limit: 1000, ...(after ? { after } : {}) } },
      }),
    ),
  );
  const meter = (label: string, count: number, most: number | undefined): Fact => ({
    label,
    cell: most
      ? { kind: "meter", used: count, most, text: m.used_of({ used: number(count), most: number(most) }) }
      : text(number(count)),
  });
  const versions = components.reduce((most, component) => Math.max(most, component.versions), 0);
  return [
    meter(m.components(), components.length, quotas.components),
    meter(m.most_versions(), versions, quotas.versions),
  ];
}

export function quotas(tenant: string): DetailPage {
  return {
    crumbs: [{ text: m.tenants(), href: "/tenants" }],
    async load() {
      const row = await take(api.GET("/v1/tenants/{tenant}", { params: { path: { tenant } } }));
      const { settings } = row;
      const limits: Quotas = settings.quotas ?? {};
      const usage = await used(tenant, limits).catch(() => []);
      const actions: Action[] = [
        {
          id: "edit-quotas",
          label: m.edit_quotas(),
          tone: "primary",
          fields: numbers(limits).map(([name, value]): Field => ({
            name,
            label: name,
            kind: "number",
            value: String(value),
            required: true,
          })),
          async run(values) {
            const next = {
              ...limits,
              ...Object.fromEntries(numbers(limits).map(([name]) => [name, Number(values[name])])),
            };
            await change(row, { ...settings, quotas: next });
          },
        },
        {
          id: "edit-tenant",
          label: m.edit_settings(),
          fields: [
            {
              name: "hosts",
              label: m.hosts(),
              kind: "area",
              value: (settings.hosts ?? []).join("\n"),
              hint: m.hosts_hint(),
            },
            {
              name: "capabilities",
              label: m.capabilities(),
              kind: "area",
              value: (settings.capabilities ?? []).join("\n"),
            },
            {
              name: "trusted",
              label: m.trusted(),
              kind: "check",
              value: settings.trusted ? "true" : "",
              hint: m.trusted_hint(),
            },
            {
              name: "signed",
              label: m.signed_only(),
              kind: "check",
              value: settings["require-signature"] ? "true" : "",
            },
          ],
          async run({ hosts = "", capabilities = "", trusted, signed }) {
            await change(row, {
              ...settings,
              hosts: words(hosts),
              capabilities: words(capabilities),
              trusted: trusted === "true",
              "require-signature": signed === "true",
            });
          },
        },
      ];
      const ceilings: List<Schemas["Ceiling"]> = {
        title: m.ceilings(),
        intro: m.ceilings_intro(),
        load: () => take(api.GET("/v1/tenants/{tenant}/ceilings", { params: { path: { tenant } } })),
        key: (ceiling) => ceiling.key,
        columns: [
          { label: m.key(), cell: (ceiling) => mono(ceiling.key) },
          {
            label: m.ceiling(),
            right: true,
            cell: (ceiling) => text(ceiling.ceiling === null ? "" : number(ceiling.ceiling ?? 0)),
          },
          {
            label: m.default_value(),
            right: true,
            cell: (ceiling) => text(ceiling.default === null ? "" : number(ceiling.default ?? 0)),
          },
          { label: m.own_ceiling(), cell: (ceiling) => text(ceiling.own ? m.yes() : "") },
        ],
        empty: m.none(),
      };
      return {
        title: tenant,
        facts: [
          { label: m.trusted(), cell: text(settings.trusted ? m.yes() : m.no()) },
          { label: m.signed_only(), cell: text(settings["require-signature"] ? m.yes() : m.no()) },
          { label: m.capabilities(), cell: tags(settings.capabilities) },
          { label: m.hosts(), cell: tags(settings.hosts) },
          { label: m.created(), cell: time(row.created_at) },
          { label: m.revision(), cell: text(row.revision) },
          ...usage,
        ],
        actions,
        sections: [
          {
            title: m.quotas(),
            facts: [
              ...numbers(limits).map(([name, value]): Fact => ({ label: name, cell: text(quota(name, value)) })),
              { label: "action", cell: text(why("quota", limits.action)?.sentence ?? limits.action) },
            ],
          },
          section(m.ceilings(), ceilings),
        ],
      };
    },
  };
}

function policyFacts(policy: Policy): Fact[] {
  return [
    { label: m.packages_allowed(), cell: policy.allow?.length ? tags(policy.allow) : text(m.all()) },
    { label: m.packages_denied(), cell: tags(policy.deny) },
    { label: m.advisories_ignored(), cell: tags(policy.ignore) },
    { label: m.refuse_from(), cell: text(policy.refuse) },
    { label: m.require_integrity(), cell: text(policy["require-integrity"] ? m.yes() : m.no()) },
    { label: m.pins(), cell: json(policy.pins ?? {}) },
  ];
}

export function packages(tenant: string): DetailPage {
  return {
    crumbs: [],
    async load() {
      const policies = await take(api.GET("/v1/tenants/{tenant}/packages", { params: { path: { tenant } } }));
      const { own } = policies;
      return {
        title: m.packages(),
        facts: policyFacts(own),
        actions: [
          {
            id: "edit-policy",
            label: m.edit_policy(),
            tone: "primary",
            fields: [
              {
                name: "allow",
                label: m.packages_allowed(),
                kind: "area",
                value: (own.allow ?? []).join("\n"),
                hint: m.packages_hint(),
              },
              { name: "deny", label: m.packages_denied(), kind: "area", value: (own.deny ?? []).join("\n") },
              { name: "ignore", label: m.advisories_ignored(), kind: "area", value: (own.ignore ?? []).join("\n") },
              {
                name: "refuse",
                label: m.refuse_from(),
                kind: "choice",
                value: own.refuse ?? "none",
                choices: severityValues.map((value) => ({ value, label: value })),
              },
              {
                name: "integrity",
                label: m.require_integrity(),
                kind: "check",
                value: own["require-integrity"] ? "true" : "",
              },
            ],
            async run({ allow = "", deny = "", ignore = "", refuse, integrity }) {
              await take(
                api.PUT("/v1/tenants/{tenant}/packages", {
                  params: { path: { tenant } },
                  body: {
                    ...own,
                    allow: words(allow),
                    deny: words(deny),
                    ignore: words(ignore),
                    refuse: refuse as Schemas["Severity"],
                    "require-integrity": integrity === "true",
                  },
                }),
              );
            },
          },
        ],
        sections: [{ title: m.policy_of_host(), facts: policyFacts(policies.host) }],
      };
    },
  };
}

export function packageReport(tenant: string, component: string, version: number): List<Schemas["AuditedPackage"]> {
  return {
    title: m.packages(),
    async load(): Promise<Page<Schemas["AuditedPackage"]>> {
      const report = await take(
        api.GET("/v1/tenants/{tenant}/components/{component}/versions/{number}/packages", {
          params: { path: { tenant, component, number: version } },
        }),
      );
      return { items: report.packages ?? [] };
    },
    key: (row) => `${row.name}@${row.version}`,
    columns: [
      { label: m.name(), cell: (row) => mono(row.name) },
      { label: m.version(), cell: (row) => mono(row.version) },
      {
        label: m.advisories(),
        cell: (row) => tags(row.vulnerabilities.map((found) => `${found.id} (${found.severity})`)),
      },
      {
        label: m.why(),
        cell: (row): Cell => {
          const worst = [...row.vulnerabilities].sort(
            (left, right) => severityValues.indexOf(right.severity) - severityValues.indexOf(left.severity),
          )[0];
          return text(worst === undefined ? "" : `${why("package", worst.severity)?.sentence ?? ""} ${worst.summary}`);
        },
      },
    ],
    empty: m.packages_empty(),
  };
}

export function audit(tenant: string): List<Schemas["AuditEntry"]> {
  return {
    title: m.audit_trail(),
    async load(after, { since }) {
      const from = sinceTime(since);
      const page = await take(
        api.GET("/v1/tenants/{tenant}/audit", {
          params: { path: { tenant }, query: { ...given({ after }), ...(from === undefined ? {} : { since: from }) } },
        }),
      );
      // Lines are a text, which is not asked for here.
      if (typeof page === "string") throw new ApiError("bad-answer", 200, "");
      return page;
    },
    key: (row) => row.id,
    columns: [
      { label: m.time(), cell: (row) => text(date(row.at)) },
      { label: m.by(), cell: (row, names) => text(names[row.actor.name] ?? row.actor.name) },
      { label: m.address(), wide: true, cell: (row) => mono(row.actor.address) },
      { label: m.action(), cell: (row) => mono(row.action) },
      { label: m.subject(), cell: (row) => mono(row.subject) },
      { label: m.before(), wide: true, cell: (row) => (row.before ? json(row.before) : text("")) },
      { label: m.after(), wide: true, cell: (row) => (row.after ? json(row.after) : text("")) },
    ],
    filters: [sinceFilter(), { name: "q", label: m.search(), local: true }],
    download: { label: m.export_lines(), address: `${address("tenants", tenant, "audit")}?format=lines` },
    empty: m.none(),
  };
}

export function health(): List<Schemas["Finding"]> {
  return {
    title: m.platform_health(),
    intro: m.platform_health_intro(),
    load: () => take(api.GET("/v1/doctor", {})),
    key: (row) => row.subject,
    columns: [
      { label: m.subject(), cell: (row) => text(row.subject) },
      {
        label: m.state(),
        cell: (row) =>
          row.good ? state("good") : { ...state("attention"), why: why("platform", "finding") },
      },
      { label: m.detail(), cell: (row) => text(row.detail) },
    ],
    empty: m.none(),
  };
}
