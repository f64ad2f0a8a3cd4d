// Receivers of notifications.

import { api, ApiError, ifMatch, take, type Page, type Schemas } from "../lib/client";
import { state } from "../lib/states";
import { why } from "../lib/why";
import { mono, text, time, type Action, type Cell, type Field, type List, type Values } from "../kit/types";
import { m } from "../lib/texts";
import { tabs } from "./alerts";
import { given, words } from "./common";

type Receiver = Schemas["Receiver"];

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
  if (row.error) return { ...state("failed"), why: why("receiver", "failing", row.error) };
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
      {
        label: m.kind(),
        wide: true,
        cell: (row) => text(KINDS.find(([kind]) => kind === row.kind)?.[1]() ?? row.kind),
      },
      { label: m.receiver_target(), wide: true, cell: (row) => mono(row.target) },
      { label: m.state(), cell: receiverState },
      { label: m.delivered(), wide: true, cell: (row) => time(row.delivered_at) },
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
        async run({ name = "", ...values }) {
          const { items } = await take(
            api.GET("/v1/tenants/{tenant}/receivers", { params: { path: { tenant }, query: { limit: 1000 } } }),
          );
          if (items.some((one) => one.name === name)) throw new ApiError("already-there", 409, name);
          return setReceiver(tenant, name, values);
        },
      },
    ],
    empty: m.receivers_empty(),
  };
}
