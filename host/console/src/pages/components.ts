import { api, all, take, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { number } from "../lib/format";
import { state } from "../lib/states";
import { text, time, type Cell, type List } from "../kit/types";
import { m } from "../lib/texts";
import { ENVIRONMENTS, environmentChoices, environmentName } from "./common";

interface Row {
  component: Schemas["Component"];
  services: Schemas["ServiceStatus"][];
  traffic: number[];
}

const BUCKETS = 24;

// Recorded executions of the last hour, by two and a half minutes.
function traffic(executions: Schemas["ExecutionRecord"][], now: number): Map<string, number[]> {
  const counts = new Map<string, number[]>();
  const step = 3_600_000 / BUCKETS;
  for (const { component, started_at } of executions) {
    const bucket = BUCKETS - 1 - Math.floor((now - started_at) / step);
    if (bucket < 0 || bucket >= BUCKETS) continue;
    const list = counts.get(component) ?? Array.from({ length: BUCKETS }, () => 0);
    list[bucket] = (list[bucket] ?? 0) + 1;
    counts.set(component, list);
  }
  return counts;
}

function health(service: Schemas["ServiceStatus"] | undefined): Cell {
  if (service === undefined) return text("");
  if (service.stopped) return state("stopped", "service");
  if (service.release.problem) return { ...state("failed"), why: undefined } as Cell;
  if (service.rollout !== null && service.rollout !== undefined && service.canary) return state("canary", "deployment");
  return state(service.release.health.state, "service", service.release.health.reason);
}

export function components(tenant: string): List<Row> {
  const params = { path: { tenant } };
  return {
    title: m.components(),
    async load(after, filters): Promise<Page<Row>> {
      const [page, services, executions] = await Promise.all([
        take(
          api.GET("/v1/tenants/{tenant}/components", {
            params: { ...params, query: { limit: 200, ...(after ? { after } : {}) } },
          }),
        ),
        take(api.GET("/v1/tenants/{tenant}/services", { params: { ...params, query: {} } })),
        // Who may not see executions sees no line.
        take(api.GET("/v1/tenants/{tenant}/executions", { params: { ...params, query: { limit: 1000 } } })).catch(
          () => ({ items: [] }),
        ),
      ]);
      const lines = traffic(executions.items, Date.now());
      const rows = page.items.map((component) => ({
        component,
        services: services.items.filter((service) => service.component === component.component),
        traffic: lines.get(component.component) ?? [],
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
          values: row.traffic,
          text: m.recorded_last_hour({ count: row.traffic.reduce((sum, count) => sum + count, 0) }),
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

/** The names of a tenant's components, for choices. */
export async function componentNames(tenant: string): Promise<string[]> {
  const list = await all((after) =>
    take(
      api.GET("/v1/tenants/{tenant}/components", {
        params: { path: { tenant }, query: { limit: 1000, ...(after ? { after } : {}) } },
      }),
    ),
  );
  return list.map((component) => component.component);
}
