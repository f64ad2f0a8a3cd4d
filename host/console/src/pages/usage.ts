// What a tenant uses, by hours and against its quotas, and how much of the platform it has adopted, by weeks.

import { address, api, take, type Schemas } from "../lib/client";
import { bytes, compact, date, day, number } from "../lib/format";
import { why } from "../lib/why";
import { section, tags, text, type DetailPage, type Fact, type List } from "../kit/types";
import { m } from "../lib/texts";

type Hour = Schemas["UsageRecord"];
type Quotas = NonNullable<Schemas["TenantSettings"]["quotas"]>;

const HOUR = 3_600_000;
const WEEK = 7 * 24 * HOUR;
/** From which share of a quota on its use is told of. */
const NEAR = 0.8;

interface Use {
  label: string;
  used: number;
  most: number;
  format(value: number): string;
}

const meter = ({ label, used, most, format }: Use): Fact => ({
  label,
  cell:
    most > 0
      ? { kind: "meter", used, most, text: m.used_of({ used: format(used), most: format(most) }) }
      : text(format(used)),
});

/** What quotas count by the hour, and what is stored now. */
function uses(hours: Hour[], quotas: Quotas): Use[] {
  const now = hours.at(-1);
  const present = now !== undefined && now.hour_at >= Math.floor(Date.now() / HOUR) * HOUR ? now : undefined;
  return [
    { label: m.stored(), used: now?.storage_bytes ?? 0, most: quotas["storage-bytes"] ?? 0, format: bytes },
    { label: m.fuel_this_hour(), used: present?.fuel ?? 0, most: quotas["fuel-per-hour"] ?? 0, format: compact },
    {
      label: m.sent_this_hour(),
      used: present?.bytes_out ?? 0,
      most: quotas["egress-bytes-per-hour"] ?? 0,
      format: bytes,
    },
  ];
}

function hourList(hours: Hour[]): List<Hour> {
  return {
    title: m.by_hours(),
    load: async () => ({ items: [...hours].reverse() }),
    key: (row) => String(row.hour_at),
    columns: [
      { label: m.hour(), cell: (row) => text(date(row.hour_at)) },
      { label: m.executions(), right: true, cell: (row) => text(number(row.executions)) },
      { label: m.fuel(), right: true, cell: (row) => text(compact(row.fuel)) },
      { label: m.received(), right: true, wide: true, cell: (row) => text(bytes(row.bytes_in)) },
      { label: m.sent(), right: true, wide: true, cell: (row) => text(bytes(row.bytes_out)) },
      { label: m.stored(), right: true, cell: (row) => text(bytes(row.storage_bytes)) },
      { label: m.closed(), wide: true, cell: (row) => text(row.is_closed ? m.yes() : m.no()) },
    ],
    empty: m.usage_empty(),
  };
}

export function usage(tenant: string): DetailPage {
  return {
    crumbs: [],
    async load() {
      const from = Math.floor((Date.now() - WEEK) / HOUR) * HOUR;
      const [{ items: hours }, quotas] = await Promise.all([
        take(
          api.GET("/v1/tenants/{tenant}/usage", { params: { path: { tenant }, query: { from, limit: 1_000 } } }),
        ),
        // Who may not see the settings of the tenant sees its use alone.
        take(api.GET("/v1/tenants/{tenant}", { params: { path: { tenant } } })).then(
          (row): Quotas => row.settings.quotas ?? {},
          (): Quotas => ({}),
        ),
      ]);
      const sum = (of: (hour: Hour) => number): number => hours.reduce((total, hour) => total + of(hour), 0);
      const used = uses(hours, quotas);
      const worst = [...used]
        .filter(({ used: amount, most }) => most > 0 && amount >= most * NEAR)
        .sort((left, right) => right.used / right.most - left.used / left.most)[0];
      // Hours in which nothing was used have no record.
      const times = Array.from({ length: WEEK / HOUR + 1 }, (_, index) => from + index * HOUR);
      const byHour = new Map(hours.map((hour) => [hour.hour_at, hour]));
      const line = (of: (hour: Hour) => number): number[] =>
        times.map((at) => {
          const hour = byHour.get(at);
          return hour === undefined ? 0 : of(hour);
        });
      return {
        title: m.usage(),
        facts: [
          ...used.map(meter),
          { label: m.executions_of_week(), cell: text(number(sum((hour) => hour.executions))) },
          { label: m.fuel_of_week(), cell: text(compact(sum((hour) => hour.fuel))) },
          { label: m.received_of_week(), cell: text(bytes(sum((hour) => hour.bytes_in))) },
          { label: m.sent_of_week(), cell: text(bytes(sum((hour) => hour.bytes_out))) },
        ],
        reasons: [
          worst === undefined
            ? undefined
            : why("usage", worst.used >= worst.most ? "over" : "near", `${worst.label}: ${format(worst)}`),
        ],
        download: { label: m.download_csv(), address: `${address("tenants", tenant, "usage.csv")}?from=${from}` },
        sections: [
          {
            title: m.executions(),
            view: "chart",
            chart: {
              label: m.executions(),
              times,
              series: [{ label: m.executions(), color: "--accent", values: line((hour) => hour.executions) }],
            },
          },
          {
            title: m.traffic_bytes(),
            view: "chart",
            chart: {
              label: m.traffic_bytes(),
              times,
              series: [
                { label: m.received(), color: "--good", values: line((hour) => hour.bytes_in) },
                { label: m.sent(), color: "--accent", values: line((hour) => hour.bytes_out) },
              ],
              format: bytes,
            },
          },
          section(m.by_hours(), hourList(hours)),
        ],
      };
    },
    every: 60_000,
  };
}

const format = (use: Use): string => m.used_of({ used: use.format(use.used), most: use.format(use.most) });

export function adoption(tenant: string): List<Schemas["AdoptionWeek"]> {
  return {
    title: m.adoption(),
    intro: m.adoption_intro(),
    async load() {
      const { items } = await take(
        api.GET("/v1/tenants/{tenant}/adoption", { params: { path: { tenant }, query: { weeks: 26 } } }),
      );
      // The weeks before the first in which anything happened say nothing.
      const first = items.findIndex((week) => week.active_components + week.authors + week.deployments > 0);
      return { items: items.slice(first).reverse() };
    },
    key: (row) => String(row.week_at),
    columns: [
      { label: m.week(), cell: (row) => text(day(row.week_at)) },
      { label: m.active_components(), right: true, cell: (row) => text(number(row.active_components)) },
      { label: m.authors(), right: true, cell: (row) => text(number(row.authors)) },
      { label: m.deployments(), right: true, cell: (row) => text(number(row.deployments)) },
      {
        label: m.built_with(),
        cell: (row) =>
          tags(
            row.sdk_versions.map(
              ({ builder, components }) => `${builder === "" ? m.other_toolchains() : builder}: ${components}`,
            ),
          ),
      },
    ],
    empty: m.none(),
  };
}
