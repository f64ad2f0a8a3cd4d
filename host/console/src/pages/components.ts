import { api, take, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { number } from "../lib/format";
import { state } from "../lib/states";
import { why } from "../lib/why";
import { text, time, type Cell, type List } from "../kit/types";
import { m } from "../lib/texts";
import { ENVIRONMENTS, environmentChoices, environmentName } from "./common";
import { traffic, type Traffic } from "./metrics";

interface Row {
  component: Schemas["Component"];
  services: Schemas["ServiceStatus"][];
  executions: number[];
  errors: number[];
}

const NO_TRAFFIC: Traffic = { executions: new Map(), errors: new Map(), leftOut: 0 };
const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);

function health(service: Schemas["ServiceStatus"] | undefined): Cell {
  if (service === undefined) return text("");
  if (service.stopped) return state("stopped", "service");
  if (service.release.problem) return state("failed");
  if (service.rollout !== null && service.rollout !== undefined && service.canary) return state("canary", "deployment");
  return state(service.release.health.state, "service", service.release.health.reason);
}

export function components(tenant: string): List<Row> {
  const params = { path: { tenant } };
  return {
    title: m.components(),
    async load(after, filters): Promise<Page<Row>> {
      const [page, services, lines] = await Promise.all([
        take(
          api.GET("/v1/tenants/{tenant}/components", {
            params: { ...params, query: { limit: 200, ...(after ? { after } : {}) } },
          }),
        ),
        take(api.GET("/v1/tenants/{tenant}/services", { params: { ...params, query: {} } })),
        // Who may not see metrics sees no line.
        traffic(tenant).catch(() => NO_TRAFFIC),
      ]);
      const rows = page.items.map((component) => ({
        component,
        services: services.items.filter((service) => service.component === component.component),
        executions: lines.executions.get(component.component) ?? [],
        errors: lines.errors.get(component.component) ?? [],
      }));
      const { environment, health: wanted } = filters;
      return {
        items: rows.filter(
          (row) =>
            (!environment || row.services.some((service) => service.environment === environment)) &&
            (!wanted ||
              row.services.some((service) => {
                const fine = service.release.health.state === "healthy" && !service.stopped && !service.release.problem;
                return wanted === "attention" ? !fine : fine;
              })),
        ),
        next: page.next ?? null,
        reasons: lines.leftOut > 0 ? [why("series", "left-out", number(lines.leftOut))] : [],
      };
    },
    key: (row) => row.component.component,
    href: (row) => path("t", tenant, "components", row.component.component),
    columns: [
      { label: m.component(), cell: (row) => text(row.component.component) },
      ...ENVIRONMENTS.map((environment) => ({
        label: environmentName(environment),
        wide: environment !== "production",
        cell: (row: Row) => health(row.services.find((service) => service.environment === environment)),
      })),
      {
        label: m.serving_version(),
        right: true,
        cell: (row) => text(row.services.find((service) => service.environment === "production")?.release.version),
      },
      { label: m.versions(), right: true, wide: true, cell: (row) => text(number(row.component.versions)) },
      {
        label: m.traffic(),
        wide: true,
        cell: (row) => ({
          kind: "spark",
          values: row.executions,
          text: m.executions_last_hour({ count: sum(row.executions) }),
        }),
      },
      {
        label: m.failures(),
        wide: true,
        cell: (row) => ({
          kind: "spark",
          values: row.errors,
          text: m.failures_last_hour({ count: sum(row.errors) }),
          tone: "bad",
        }),
      },
      { label: m.created(), wide: true, cell: (row) => time(row.component.created_at) },
    ],
    filters: [
      { name: "q", label: m.search(), local: true },
      { name: "environment", label: m.environment(), choices: environmentChoices() },
      {
        name: "health",
        label: m.health(),
        choices: [
          { value: "attention", label: m.needs_attention() },
          { value: "good", label: m.in_order() },
        ],
      },
    ],
    empty: m.components_empty(),
    every: 10_000,
  };
}
