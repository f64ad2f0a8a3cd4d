// The pages and their addresses. Each is fetched when it is first opened.

import type { Component } from "svelte";
import type { DetailPage, List } from "./kit/types";
import { isDevelopment } from "./lib/base";
import { match } from "./lib/router.svelte";
import { session } from "./lib/session.svelte";

type Params = Record<string, string>;
type Query = URLSearchParams;

export type Page =
  | { kind: "list"; list: List<never> }
  | { kind: "detail"; page: DetailPage }
  | { kind: "view"; view: Component<never>; props: Record<string, unknown> };

type Load = (params: Params, query: Query) => Promise<Page>;

const list = (make: Promise<List<never>>): Promise<Page> => make.then((made) => ({ kind: "list", list: made }));
const detail = (make: Promise<DetailPage>): Promise<Page> => make.then((page) => ({ kind: "detail", page }));
const view = async (load: Promise<{ default: unknown }>, props: Record<string, unknown>): Promise<Page> => ({
  kind: "view",
  view: (await load).default as Component<never>,
  props,
});
// Rows of one kind of list are nothing to whoever draws lists of all kinds.
const any = <Row>(made: List<Row>): List<never> => made as unknown as List<never>;

const components = () => import("./pages/components");
const executions = () => import("./pages/executions");
const jobs = () => import("./pages/jobs");
const triggers = () => import("./pages/triggers");
const workers = () => import("./pages/workers");
const access = () => import("./pages/access");
const platform = () => import("./pages/platform");
const issues = () => import("./pages/issues");
const traces = () => import("./pages/traces");
const alerts = () => import("./pages/alerts");
const alertRules = () => import("./pages/alert-rules");
const receivers = () => import("./pages/receivers");
const usage = () => import("./pages/usage");
const security = () => import("./pages/security");
const service = () => import("./pages/service");
const drafts = () => import("./pages/drafts");
const flags = () => import("./pages/flags");
const specification = () => import("./pages/specification");

/** A part of a path; the patterns have all that are read. */
const get = (params: Params, name: string): string => params[name] ?? "";
const number = (text: string | null | undefined): number | undefined => (text ? Number(text) : undefined);

export const ROUTES: [pattern: string, load: Load][] = [
  ["/t/:tenant/components", (p) => list(components().then((page) => any(page.components(get(p, "tenant")))))],
  [
    "/t/:tenant/components/:component",
    (p) => view(import("./pages/Component.svelte"), { tenant: get(p, "tenant"), component: get(p, "component") }),
  ],
  [
    "/t/:tenant/components/:component/versions/:number",
    (p, q) =>
      detail(
        service().then((page) =>
          page.version(get(p, "tenant"), get(p, "component"), Number(get(p, "number")), number(q.get("with"))),
        ),
      ),
  ],
  [
    "/t/:tenant/components/:component/versions/:number/diff/:other",
    (p) =>
      view(import("./pages/Compare.svelte"), {
        tenant: get(p, "tenant"),
        component: get(p, "component"),
        number: Number(get(p, "number")),
        other: Number(get(p, "other")),
      }),
  ],
  [
    "/t/:tenant/components/:component/versions/:number/spec",
    (p) =>
      detail(
        specification().then((page) =>
          page.specification(get(p, "tenant"), get(p, "component"), Number(get(p, "number"))),
        ),
      ),
  ],
  ["/t/:tenant/drafts", (p) => list(drafts().then((page) => any(page.drafts(get(p, "tenant")))))],
  [
    "/t/:tenant/drafts/:draft",
    (p) => view(import("./pages/Draft.svelte"), { tenant: get(p, "tenant"), draft: get(p, "draft") }),
  ],
  [
    "/t/:tenant/flags",
    (p, q) => list(flags().then((page) => any(page.flags(get(p, "tenant"), q.get("environment") ?? undefined)))),
  ],
  [
    "/t/:tenant/flags/:environment/:flag",
    (p) => detail(flags().then((page) => page.flag(get(p, "tenant"), get(p, "environment"), get(p, "flag")))),
  ],
  ["/t/:tenant/executions", (p) => list(executions().then((page) => any(page.executions(get(p, "tenant")))))],
  [
    "/t/:tenant/executions/:id",
    (p) => detail(executions().then((page) => page.execution(get(p, "tenant"), get(p, "id")))),
  ],
  ["/t/:tenant/running", (p) => list(executions().then((page) => any(page.running(get(p, "tenant")))))],
  ["/t/:tenant/schedules", (p) => list(triggers().then((page) => any(page.schedules(get(p, "tenant")))))],
  [
    "/t/:tenant/schedules/:component/:environment/:name",
    (p) =>
      detail(
        triggers().then((page) =>
          page.schedule(get(p, "tenant"), get(p, "component"), get(p, "environment"), get(p, "name")),
        ),
      ),
  ],
  ["/t/:tenant/jobs", (p) => list(jobs().then((page) => any(page.jobs(get(p, "tenant")))))],
  ["/t/:tenant/jobs/:id", (p) => detail(jobs().then((page) => page.job(get(p, "tenant"), get(p, "id"))))],
  ["/t/:tenant/dead-letters", (p) => list(jobs().then((page) => any(page.deadLetters(get(p, "tenant")))))],
  ["/t/:tenant/workflows", (p) => list(jobs().then((page) => any(page.workflows(get(p, "tenant")))))],
  ["/t/:tenant/workflows/:id", (p) => detail(jobs().then((page) => page.workflow(get(p, "tenant"), get(p, "id"))))],
  ["/t/:tenant/events", (p) => list(triggers().then((page) => any(page.events(get(p, "tenant")))))],
  ["/t/:tenant/subscriptions", (p) => list(triggers().then((page) => any(page.subscriptions(get(p, "tenant")))))],
  ["/t/:tenant/workers", (p) => list(workers().then((page) => any(page.workers(get(p, "tenant")))))],
  [
    "/t/:tenant/workers/:component/:environment/:class/:name",
    (p, q) =>
      detail(
        workers().then((page) =>
          page.worker(
            get(p, "tenant"),
            get(p, "component"),
            get(p, "environment"),
            get(p, "class"),
            get(p, "name"),
            number(q.get("turn")),
          ),
        ),
      ),
  ],
  ["/t/:tenant/issues", (p) => list(issues().then((page) => any(page.issues(get(p, "tenant")))))],
  ["/t/:tenant/issues/:id", (p) => detail(issues().then((page) => page.issue(get(p, "tenant"), get(p, "id"))))],
  ["/t/:tenant/traces", (p) => list(traces().then((page) => any(page.traces(get(p, "tenant")))))],
  [
    "/t/:tenant/traces/:id",
    (p) => view(import("./pages/Trace.svelte"), { tenant: get(p, "tenant"), id: get(p, "id") }),
  ],
  ["/t/:tenant/alerts", (p) => list(alerts().then((page) => any(page.alerts(get(p, "tenant")))))],
  ["/t/:tenant/alerts/rules", (p) => list(alertRules().then((page) => any(page.rules(get(p, "tenant")))))],
  [
    "/t/:tenant/alerts/rules/:rule",
    (p) => detail(alertRules().then((page) => page.rule(get(p, "tenant"), get(p, "rule")))),
  ],
  ["/t/:tenant/alerts/silences", (p) => list(alerts().then((page) => any(page.silences(get(p, "tenant")))))],
  ["/t/:tenant/alerts/receivers", (p) => list(receivers().then((page) => any(page.receivers(get(p, "tenant")))))],
  ["/t/:tenant/security", (p) => list(security().then((page) => any(page.security(get(p, "tenant")))))],
  ["/t/:tenant/usage", (p) => detail(usage().then((page) => page.usage(get(p, "tenant"))))],
  ["/t/:tenant/adoption", (p) => list(usage().then((page) => any(page.adoption(get(p, "tenant")))))],
  ["/t/:tenant/sessions", (p) => list(access().then((page) => any(page.sessions(get(p, "tenant")))))],
  ["/t/:tenant/tokens", (p) => list(access().then((page) => any(page.tokens(get(p, "tenant")))))],
  ["/t/:tenant/users", (p) => list(access().then((page) => any(page.users(get(p, "tenant")))))],
  ["/t/:tenant/organizations", (p) => list(access().then((page) => any(page.organizations(get(p, "tenant")))))],
  ["/t/:tenant/roles", (p) => list(access().then((page) => any(page.roles(get(p, "tenant")))))],
  ["/t/:tenant/keys", (p) => list(access().then((page) => any(page.keys(get(p, "tenant")))))],
  ["/t/:tenant/quotas", (p) => detail(platform().then((page) => page.quotas(get(p, "tenant"))))],
  ["/t/:tenant/packages", (p) => detail(platform().then((page) => page.packages(get(p, "tenant"))))],
  ["/t/:tenant/audit", (p) => list(platform().then((page) => any(page.audit(get(p, "tenant")))))],
  ["/tenants", () => list(platform().then((page) => any(page.tenants())))],
  ["/health", () => list(platform().then((page) => any(page.health())))],
  ["/log", () => view(import("./pages/TransparencyLog.svelte"), {})],
];

/** The only service of a development server. */
export const project = (): { component: string; environment: "dev" } => ({
  component: session.who?.components?.[0] ?? "app",
  environment: "dev",
});

const requests = () => import("./pages/requests");
const tenant = (): string => session.who?.tenant ?? "default";
const place = (p: Params) => ({ place: { tenant: get(p, "tenant"), ...project() }, service: undefined });

// What a development server has of its own, and of the pages of a platform.
const OF_PROJECT: typeof ROUTES = [
  ["/requests", () => list(requests().then((page) => any(page.requests(tenant()))))],
  ["/requests/:id", (p) => detail(requests().then((page) => page.request(tenant(), get(p, "id"))))],
  ["/t/:tenant/log", (p) => view(import("./pages/Log.svelte"), place(p))],
  ["/t/:tenant/components/:component", (p) => view(import("./pages/Log.svelte"), place(p))],
  ["/t/:tenant/database", (p) => view(import("./pages/Database.svelte"), place(p))],
  ["/t/:tenant/workers", (p) => list(workers().then((page) => any(page.workers(get(p, "tenant"), project()))))],
];
const SHARED = ["executions", "schedules", "jobs", "dead-letters", "events", "subscriptions", "workers"];
const isShared = ([pattern]: [string, Load]): boolean => SHARED.includes(pattern.split("/")[3] ?? "");
const HERE = isDevelopment ? [...OF_PROJECT, ...ROUTES.filter(isShared)] : ROUTES;

/** What is at an address; parameters of the address that select another page are read too. */
export function find(
  path: string,
  query: Query,
): { load: () => Promise<Page>; params: Params; key: string } | undefined {
  for (const [pattern, load] of HERE) {
    const params = match(pattern, path);
    if (params !== undefined) {
      const key = `${path}?${query.get("turn") ?? ""}&${query.get("with") ?? ""}`;
      return { load: () => load(params, query), params, key };
    }
  }
  return undefined;
}
