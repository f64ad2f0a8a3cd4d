import { workerHealthValues } from "../api/schema";
import { api, take, type Environment, type Page, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { bytes, number } from "../lib/format";
import { state, stateLabel } from "../lib/states";
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
  type DetailPage,
  type List,
} from "../kit/types";
import { m } from "../lib/texts";
import { componentFilter, environmentFilter, environmentName, given } from "./common";

type Status = Schemas["WorkerStatus"];
export type WorkerRow = Status & { component: string; environment: Environment };
type Turn = Schemas["WorkerTurn"];

const BASE = "/v1/tenants/{tenant}/components/{component}/environments/{environment}/workers";

function reasons(row: Status, context: Record<string, string>): (Reason | undefined)[] {
  return [
    row.given_up ? why("worker-trouble", "given-up", row.given_up, context) : undefined,
    row.upgrade_error ? why("worker-trouble", "upgrade-error", row.upgrade_error, context) : undefined,
    row.rolled_back
      ? why("worker-trouble", "rolled-back", m.turns_lost({ count: row.rolled_back.lost }), context)
      : undefined,
    row.dropped > 0 ? why("worker-trouble", "dropped", number(row.dropped), context) : undefined,
    row.health === "unhealthy" ? why("worker-health", "unhealthy", row.health_error, context) : undefined,
    why("worker", row.condition, undefined, context),
  ];
}

function condition(row: Status): Cell {
  if (row.given_up) return { ...state("stopped"), why: why("worker-trouble", "given-up", row.given_up) };
  if (row.health === "unhealthy") return state("unhealthy", "worker-health", row.health_error);
  return state(row.condition, "worker");
}

const workerPath = (tenant: string, row: WorkerRow): string =>
  path("t", tenant, "workers", row.component, row.environment, row.class, row.name);

async function ofService(
  tenant: string,
  component: string,
  environment: Environment,
  query: Record<string, string>,
): Promise<Page<WorkerRow>> {
  const page = await take(api.GET(BASE, { params: { path: { tenant, component, environment }, query } }));
  return { items: page.items.map((row) => ({ ...row, component, environment })), next: page.next ?? null };
}

/** Those of one service, or the first of each service of the tenant. */
export function workers(tenant: string, service?: { component: string; environment: Environment }): List<WorkerRow> {
  return {
    title: m.workers(),
    intro: m.workers_intro(),
    async load(after, filters) {
      const { component, environment, class: wanted, tag, health } = filters;
      const query = given({ class: wanted, tag, health });
      if (service !== undefined)
        return ofService(tenant, service.component, service.environment, { ...query, ...given({ after }) });
      const services = await take(
        api.GET("/v1/tenants/{tenant}/services", { params: { path: { tenant }, query: given({ component }) } }),
      );
      const lists = await Promise.all(
        services.items
          .filter((item) => !environment || item.environment === environment)
          .map((item) => ofService(tenant, item.component, item.environment, query).catch(() => ({ items: [] }))),
      );
      return { items: lists.flatMap((list) => list.items), next: null };
    },
    key: (row) => `${row.component}/${row.environment}/${row.class}/${row.name}`,
    href: (row) => workerPath(tenant, row),
    columns: [
      { label: m.name(), cell: (row) => text(row.name) },
      { label: m.worker_class(), cell: (row) => mono(row.class) },
      { label: m.state(), cell: condition },
      ...(service === undefined
        ? [
            {
              label: m.component(),
              cell: (row: WorkerRow) => link(row.component, path("t", tenant, "components", row.component)),
            },
          ]
        : []),
      { label: m.turns(), right: true, cell: (row) => text(number(row.turns)) },
      { label: m.mailbox(), right: true, cell: (row) => text(number(row.messages)) },
      { label: m.heap(), right: true, wide: true, cell: (row) => text(bytes(row.heap_bytes)) },
      { label: m.next_timer(), wide: true, cell: (row) => time(row.next_due) },
      { label: m.changed(), wide: true, cell: (row) => time(row.updated_at) },
      { label: m.tags(), wide: true, cell: (row) => tags(row.tags) },
    ],
    filters: [
      ...(service === undefined ? [componentFilter(), environmentFilter()] : []),
      { name: "class", label: m.worker_class() },
      { name: "tag", label: m.tag() },
      {
        name: "health",
        label: m.health(),
        choices: workerHealthValues.map((value) => ({ value, label: stateLabel(value) })),
      },
    ],
    empty: m.workers_empty(),
    every: 5_000,
  };
}

export function worker(
  tenant: string,
  component: string,
  environment: string,
  kind: string,
  name: string,
  turn: number | undefined,
): DetailPage {
  const at = { tenant, component, environment: environment as Environment, class: kind, name };
  const params = { path: at };
  const self = path("t", tenant, "workers", component, environment, kind, name);
  const one = `${BASE}/{class}/{name}` as const;
  const actions = (row: Status): Action[] => [
    {
      id: "send",
      label: m.send_message(),
      tone: "primary",
      fields: [
        { name: "method", label: m.method(), kind: "text", hint: m.method_hint() },
        {
          name: "content",
          label: m.arguments_or_message(),
          kind: "json",
          value: "[]",
          required: true,
          hint: m.arguments_hint(),
        },
      ],
      async run({ method, content = "null" }) {
        const value = JSON.parse(content) as unknown;
        const answer = await take(
          api.POST(`${one}/messages`, {
            params,
            body: method ? { method, args: Array.isArray(value) ? value : [value] } : { message: value },
          }),
        );
        return { json: answer.answer };
      },
    },
    row.given_up
      ? {
          id: "start-worker",
          label: m.start(),
          async run() {
            await take(api.POST(`${one}/start`, { params }));
          },
        }
      : {
          id: "restart-worker",
          label: m.restart(),
          confirm: m.restart_worker_confirm(),
          fields: [{ name: "reason", label: m.reason(), kind: "text" }],
          async run({ reason }) {
            await take(api.POST(`${one}/restart`, { params, body: reason ? { reason } : {} }));
          },
        },
    {
      id: "fork",
      label: m.fork(),
      fields: [
        { name: "name", label: m.fork_name(), kind: "text", required: true },
        {
          name: "at",
          label: m.turn(),
          kind: "number",
          value: turn === undefined ? "" : String(turn),
          hint: m.fork_hint(),
        },
      ],
      async run({ name: copy = "", at: which }) {
        const id = await take(
          api.POST(`${one}/fork`, { params, body: { name: copy, ...(which ? { at: Number(which) } : {}) } }),
        );
        return { go: path("t", tenant, "workers", component, environment, id.class, id.name) };
      },
    },
    {
      id: "stop-worker",
      label: m.stop(),
      tone: "danger",
      confirm: m.stop_worker_confirm(),
      fields: [{ name: "reason", label: m.reason(), kind: "text" }],
      async run({ reason }) {
        await take(api.POST(`${one}/stop`, { params, body: reason ? { reason } : {} }));
      },
    },
  ];
  return {
    crumbs: [{ text: m.workers(), href: path("t", tenant, "workers") }],
    async load() {
      const [row, held] = await Promise.all([
        take(api.GET(one, { params })),
        take(api.GET(`${one}/state`, { params: { path: at, query: turn === undefined ? {} : { at: turn } } })).then(
          (value) => ({ value }),
          (error: unknown) => ({ error }),
        ),
      ]);
      const history: List<Turn> = {
        title: m.history(),
        intro: m.history_intro(),
        load: (after) => take(api.GET(`${one}/history`, { params: { path: at, query: given({ after }) } })),
        key: (entry) => String(entry.turn),
        href: (entry) => `${self}?turn=${entry.turn}`,
        columns: [
          { label: m.turn(), cell: (entry) => text(entry.turn) },
          { label: m.time(), cell: (entry) => time(entry.at) },
          { label: m.version(), right: true, cell: (entry) => text(entry.version) },
          { label: m.bytes_stored(), right: true, cell: (entry) => text(bytes(entry.bytes)) },
          { label: m.back_to(), right: true, cell: (entry) => text(entry.back_to) },
        ],
        empty: m.history_empty(),
      };
      return {
        title: `${kind}/${name}`,
        facts: [
          { label: m.state(), cell: condition(row) },
          { label: m.health(), cell: state(row.health, "worker-health", row.health_error) },
          { label: m.component(), cell: link(component, path("t", tenant, "components", component)) },
          { label: m.environment(), cell: text(environmentName(environment)) },
          { label: m.version(), cell: text(row.version) },
          { label: m.turns(), cell: text(number(row.turns)) },
          { label: m.mailbox(), cell: text(number(row.messages)) },
          { label: m.heap(), cell: text(bytes(row.heap_bytes)) },
          { label: m.next_timer(), cell: time(row.next_due) },
          { label: m.changed(), cell: time(row.updated_at) },
          { label: m.kept_from(), cell: text(row.kept_from) },
          { label: m.tags(), cell: tags(row.tags) },
        ],
        reasons: reasons(row, { component, environment }),
        actions: actions(row),
        sections: [
          "value" in held
            ? { title: turn === undefined ? m.state_now() : m.state_at({ turn }), json: held.value.state }
            : { title: m.state_now(), text: String((held.error as Error).message) },
          ...(turn === undefined
            ? []
            : [{ title: m.present_state(), facts: [{ label: m.state(), cell: link(m.show_present(), self) }] }]),
          section(m.history(), history),
        ],
      };
    },
    ...(turn === undefined ? { every: 4_000 } : {}),
  };
}
