// Feature flags: values that components ask for while they run, decided here without a deployment.

import { flagStateValues } from "../api/schema";
import { api, ifMatch, take, type Environment, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { state } from "../lib/states";
import { why } from "../lib/why";
import {
  json,
  mono,
  section,
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
import { ENVIRONMENTS, environmentChoices, environmentName, given, parsed } from "./common";

type Flag = Schemas["FeatureFlag"];
type Revision = Schemas["FlagRevision"];
export type Definition = Schemas["FlagDefinition"];
type Rule = Schemas["TargetingRule"];

const FLAGS = "/v1/tenants/{tenant}/environments/{environment}/flags";
const FLAG = `${FLAGS}/{flag}` as const;
const SHARE = "share:";

const flagPath = (tenant: string, environment: string, flag: string): string =>
  path("t", tenant, "flags", environment, flag);

const variantsOf = (definition: Definition): Record<string, unknown> => definition.variants;
const isForAll = (rule: Rule): boolean =>
  (rule.users ?? []).length === 0 && !rule.organization && !rule.claim && !rule.attribute;

/** The percentages of a flag's last rule, if it is for all and has any: those that the form is about. */
export function sharesOf(definition: Definition): Record<string, number> {
  const last = definition.rules?.at(-1);
  if (last === undefined || !isForAll(last)) return {};
  const shares = last.variant ? [{ variant: last.variant, percent: 100 }] : (last.split ?? []);
  return Object.fromEntries(shares.map(({ variant, percent }) => [variant, percent]));
}

/** The definition with other percentages for all whom no other rule includes. */
export function withShares(definition: Definition, shares: Record<string, number>): Definition {
  const rules = definition.rules ?? [];
  const last = rules.at(-1);
  const others = last !== undefined && isForAll(last) ? rules.slice(0, -1) : rules;
  const split = Object.entries(shares)
    .filter(([, percent]) => percent > 0)
    .map(([variant, percent]) => ({ variant, percent }));
  return { ...definition, rules: split.length === 0 ? others : [...others, { split }] };
}

export function fieldsOf(definition: Definition): Field[] {
  const variants = Object.entries(variantsOf(definition));
  const shares = sharesOf(definition);
  return [
    {
      name: "state",
      label: m.state(),
      kind: "choice",
      choices: flagStateValues.map((value) => ({
        value,
        label: value === "ENABLED" ? m.state_enabled() : m.state_disabled(),
      })),
      value: definition.state ?? "ENABLED",
    },
    {
      name: "default",
      label: m.default_variant(),
      kind: "choice",
      choices: variants.map(([name, value]) => ({ value: name, label: `${name}: ${JSON.stringify(value)}` })),
      value: definition.defaultVariant,
      hint: m.default_variant_hint(),
    },
    ...variants.map(
      ([name]): Field => ({
        name: SHARE + name,
        label: m.share_of({ name }),
        kind: "number",
        value: String(shares[name] ?? 0),
        check: (value) => (Number(value) >= 0 && Number(value) <= 100 ? undefined : m.share_range()),
      }),
    ),
    { name: "description", label: m.description(), kind: "area", value: definition.description ?? "" },
  ];
}

/** The definition that a form stands for; what the form does not show stays as it is. */
export function definitionOf(before: Definition, values: Values): Definition {
  const shares = Object.keys(variantsOf(before)).map((name) => [name, Number(values[SHARE + name] ?? 0)] as const);
  const { description: _, ...rest } = withShares(before, Object.fromEntries(shares));
  return {
    ...rest,
    state: values["state"] === "DISABLED" ? "DISABLED" : "ENABLED",
    defaultVariant: values["default"] ?? before.defaultVariant,
    ...given({ description: values["description"] }),
  };
}

async function put(
  tenant: string,
  environment: Environment,
  flag: string,
  definition: Definition,
  revision: number | undefined,
): Promise<void> {
  await take(
    api.PUT(FLAG, {
      params: { path: { tenant, environment, flag } },
      headers: revision === undefined ? {} : ifMatch(revision),
      body: definition,
    }),
  );
}

function enableAction(tenant: string, flag: Flag): Action {
  const { environment, name, definition, revision } = flag;
  const isDisabled = definition.state === "DISABLED";
  return {
    id: "enable-flag",
    label: isDisabled ? m.enable_flag() : m.disable_flag(),
    async run() {
      const state_ = isDisabled ? "ENABLED" : "DISABLED";
      await put(tenant, environment, name, { ...definition, state: state_ }, revision);
    },
  };
}

const stateOf = (definition: Definition): Cell => state(definition.state ?? "ENABLED", "flag");

/** What the form of a new flag begins with. */
const NEW = JSON.stringify({ variants: { on: true, off: false }, defaultVariant: "off" }, null, 2);

export function flags(tenant: string, wanted: string | undefined): List<Flag> {
  const environment = ENVIRONMENTS.find((one) => one === wanted) ?? "production";
  return {
    title: m.feature_flags(),
    intro: m.feature_flags_intro(),
    load: (after, filters): Promise<Page<Flag>> =>
      take(
        api.GET(FLAGS, {
          params: {
            path: { tenant, environment: ENVIRONMENTS.find((one) => one === filters["environment"]) ?? environment },
            query: given({ after }),
          },
        }),
      ),
    key: (row) => `${row.environment} ${row.name}`,
    href: (row) => flagPath(tenant, row.environment, row.name),
    columns: [
      { label: m.name(), cell: (row) => mono(row.name) },
      { label: m.state(), cell: (row) => stateOf(row.definition) },
      { label: m.default_variant(), cell: (row) => mono(row.definition.defaultVariant) },
      {
        label: m.shares(),
        wide: true,
        cell: (row) =>
          text(
            Object.entries(sharesOf(row.definition))
              .map(([name, percent]) => `${name} ${percent} %`)
              .join(", "),
          ),
      },
      { label: m.changed(), cell: (row) => time(row.changed_at) },
      { label: m.by(), wide: true, cell: (row, names) => text(names[row.changed_by] ?? row.changed_by) },
    ],
    filters: [
      { name: "q", label: m.search(), local: true },
      { name: "environment", label: m.environment(), choices: environmentChoices() },
    ],
    rowActions: (row) => [enableAction(tenant, row)],
    actions: [
      {
        id: "create-flag",
        label: m.create_flag(),
        tone: "primary",
        fields: [
          { name: "name", label: m.name(), kind: "text", required: true },
          {
            name: "environment",
            label: m.environment(),
            kind: "choice",
            choices: environmentChoices(),
            value: environment,
          },
          { name: "definition", label: m.definition(), kind: "json", required: true, value: NEW },
        ],
        async run({ name = "", environment: where = "production", definition = "" }) {
          await put(tenant, where as Environment, name, parsed(definition) as Definition, undefined);
          return { go: flagPath(tenant, where, name) };
        },
      },
    ],
    empty: m.feature_flags_empty(),
  };
}

function history(tenant: string, environment: Environment, flag: string): List<Revision> {
  return {
    title: m.history(),
    load: (after): Promise<Page<Revision>> =>
      take(
        api.GET(`${FLAG}/history`, { params: { path: { tenant, environment, flag }, query: given({ after }) } }),
      ),
    key: (row) => String(row.revision),
    columns: [
      { label: m.revision(), right: true, cell: (row) => mono(row.revision) },
      { label: m.changed(), cell: (row) => time(row.changed_at) },
      { label: m.by(), cell: (row, names) => text(names[row.changed_by] ?? row.changed_by) },
      { label: m.state(), cell: (row) => (row.definition ? stateOf(row.definition) : state("deleted")) },
      { label: m.definition(), wide: true, cell: (row) => json(row.definition ?? null) },
    ],
    empty: m.feature_flags_empty(),
  };
}

export function flag(tenant: string, where: string, name: string): DetailPage {
  const environment = where as Environment;
  const params = { path: { tenant, environment, flag: name } };
  const list = path("t", tenant, "flags");
  return {
    crumbs: [
      { text: m.feature_flags(), href: list },
      { text: environmentName(environment), href: `${list}?environment=${environment}` },
    ],
    async load() {
      const row = await take(api.GET(FLAG, { params }));
      const { definition, revision } = row;
      return {
        title: name,
        reasons: [definition.state === "DISABLED" ? why("flag", "DISABLED") : undefined],
        facts: [
          { label: m.state(), cell: stateOf(definition) },
          { label: m.environment(), cell: text(environmentName(environment)) },
          { label: m.default_variant(), cell: mono(definition.defaultVariant) },
          { label: m.description(), cell: text(definition.description) },
          { label: m.revision(), cell: mono(revision) },
          { label: m.changed(), cell: time(row.changed_at) },
          { label: m.by(), cell: text(row.changed_by) },
        ],
        actions: [
          {
            id: "edit-flag",
            label: m.edit(),
            tone: "primary",
            fields: fieldsOf(definition),
            run: (values) => put(tenant, environment, name, definitionOf(definition, values), revision),
          },
          {
            id: "edit-definition",
            label: m.edit_json(),
            fields: [
              {
                name: "definition",
                label: m.definition(),
                kind: "json",
                required: true,
                value: JSON.stringify(definition, null, 2),
              },
            ],
            run: ({ definition: edited = "" }) =>
              put(tenant, environment, name, parsed(edited) as Definition, revision),
          },
          enableAction(tenant, row),
          {
            id: "delete-flag",
            label: m.remove(),
            tone: "danger",
            confirm: m.delete_flag_confirm({ name }),
            async run() {
              await take(api.DELETE(FLAG, { params, headers: ifMatch(revision) }));
              return { go: list };
            },
          },
        ],
        sections: [
          { title: m.variants(), json: definition.variants },
          { title: m.targeting_rules(), json: definition.rules ?? [] },
          section(m.history(), history(tenant, environment, name)),
        ],
      };
    },
  };
}
