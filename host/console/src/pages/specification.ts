// The specification of a version: all that it takes, gives, needs and may use.

import { address, api, take, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { mono, tags, type DetailPage, type Section } from "../kit/types";
import { m } from "../lib/texts";
import type { Endpoint } from "../lib/request";
import type { JsonSchema } from "../lib/schema";
import { limitFacts } from "./service";

export type Specification = Schemas["Specification"];

/** The JSON Schemas in a specification or a manifest. */
export interface Described {
  input?: JsonSchema;
  output?: JsonSchema;
  endpoints?: Endpoint[];
}

export const readSpecification = (tenant: string, component: string, version: number): Promise<Specification> =>
  take(
    api.GET("/v1/tenants/{tenant}/components/{component}/versions/{number}/spec", {
      params: { path: { tenant, component, number: version } },
    }),
  );

const PARTS = [
  ["triggers", () => m.triggers()],
  ["gateway", () => m.routes()],
  ["grants", () => m.capabilities()],
  ["supervision", () => m.supervision()],
  ["worker_settings", () => m.workers()],
] as const;

const isEmpty = (value: unknown): boolean =>
  value === null || value === undefined || (typeof value === "object" && Object.keys(value).length === 0);

export function specification(tenant: string, component: string, version: number): DetailPage {
  const page = path("t", tenant, "components", component);
  const self = `${page}/versions/${version}`;
  const openapi = address("tenants", tenant, "components", component, "versions", String(version), "openapi");
  return {
    crumbs: [
      { text: component, href: page },
      { text: m.version_of({ component, version }), href: self },
    ],
    async load() {
      const found = await readSpecification(tenant, component, version);
      const { input, output, endpoints = [] } = found.schemas as Described;
      const schemas: [string, JsonSchema | undefined][] = [
        [m.schema_input(), input],
        [m.schema_output(), output],
        ...endpoints.flatMap(({ method, path: of, params, query, body }): [string, JsonSchema | undefined][] => [
          [`${method} ${of}: ${m.schema_params()}`, params],
          [`${method} ${of}: ${m.schema_query()}`, query],
          [`${method} ${of}: ${m.body()}`, body],
        ]),
      ];
      const files = Object.entries(found.files);
      const sections: Section[] = [
        ...schemas.flatMap(([title, schema]) => (schema === undefined ? [] : [{ title, json: schema }])),
        ...PARTS.flatMap(([name, label]) => (isEmpty(found[name]) ? [] : [{ title: label(), json: found[name] }])),
        { title: m.limits(), facts: limitFacts(found.limits) },
        { title: m.imports(), text: found.imports.join("\n") || m.none() },
        { title: m.exports(), text: found.exports.join("\n") || m.none() },
        { title: m.packages(), text: Object.keys(found.packages ?? {}).join("\n") || m.none() },
        ...(files.length === 0 ? [] : [{ title: m.files(), json: found.files }]),
      ];
      return {
        title: m.specification_of({ component, version }),
        facts: [
          { label: m.name(), cell: mono(found.name) },
          { label: m.package_version(), cell: mono(found.version) },
          { label: m.handlers(), cell: tags(found.handlers) },
          { label: m.workers(), cell: tags(found.workers) },
          {
            label: m.endpoints(),
            cell: tags(endpoints.map(({ method, path: of }) => `${method} ${of}`)),
          },
          { label: m.digest(), cell: mono(found.digests.component) },
          { label: m.digest_of_sources(), cell: mono(found.digests.source) },
          { label: m.digest_of_engine(), cell: mono(found.digests.engine) },
        ],
        actions: [
          {
            id: "compare-lines",
            label: m.compare_lines(),
            run: () =>
              Promise.resolve({
                text: m.compare_lines(),
                go: `${self}/diff/${Math.max(1, version - 1)}?of=specification`,
              }),
          },
        ],
        download: { label: m.openapi_document(), address: openapi },
        sections,
      };
    },
  };
}
