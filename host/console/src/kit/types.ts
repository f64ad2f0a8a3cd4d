// What a page is made of. Pages are descriptions in these types; the components beside this file draw them.

import type { Page } from "../lib/client";
import type { Reason } from "../lib/why";

/** What a cell of a table or a fact of a page shows. Texts of strangers go in as they are: they become text nodes. */
export type Cell =
  | { kind: "text"; text: string; mono?: boolean; dim?: boolean }
  | { kind: "link"; text: string; href: string }
  | { kind: "time"; at: number | null | undefined }
  | StateCell
  | { kind: "tags"; tags: string[] }
  | { kind: "meter"; used: number; most: number; text: string }
  | { kind: "spark"; values: number[]; text: string; tone?: "bad" }
  | { kind: "json"; value: unknown };

export interface StateCell {
  kind: "state";
  text: string;
  tone: Tone;
  /** Why it is not as it should be; shown when the pointer is on it. */
  why?: Reason | undefined;
}

export type Tone = "good" | "busy" | "wait" | "warn" | "bad" | "off";

export interface Column<Row> {
  label: string;
  cell(row: Row, names: Record<string, string>): Cell;
  /** Numbers stand at the right. */
  right?: boolean;
  /** Not on narrow screens. */
  wide?: boolean;
}

export interface Choice {
  value: string;
  label: string;
}

export interface Filter {
  name: string;
  label: string;
  /** Without choices the filter is a text. */
  choices?: Choice[];
  /** Compared with the rows that are there, where the server has no such filter. */
  local?: boolean;
}

export type Values = Record<string, string>;

export interface Field {
  name: string;
  label: string;
  kind: "text" | "number" | "area" | "secret" | "choice" | "check" | "time" | "json";
  value?: string;
  hint?: string;
  choices?: Choice[];
  required?: boolean;
  /** What is wrong with a value, if anything is. */
  check?(value: string): string | undefined;
}

/** What an action tells beside that it was done. */
export interface Outcome {
  text?: string;
  /** Shown once, to be copied. */
  secret?: string;
  json?: unknown;
  /** The page to go to. */
  go?: string;
}

export interface Action {
  /** A name that reasons refer to. */
  id: string;
  label: string;
  tone?: "primary" | "danger";
  /** The question before it is done. */
  confirm?: string;
  fields?: Field[];
  run(values: Values): Promise<Outcome | void>;
}

/** A file of the admin API, which the browser saves. */
export interface Download {
  label: string;
  /** Such as `/v1/tenants/default/usage.csv`. */
  address: string;
}

export interface List<Row> {
  title: string;
  intro?: string;
  load(after: string | undefined, filters: Values): Promise<Page<Row>>;
  key(row: Row): string;
  columns: Column<Row>[];
  filters?: Filter[];
  /** The page of a row. */
  href?(row: Row): string;
  rowActions?(row: Row): Action[];
  actions?: Action[];
  download?: Download;
  /** Lists that belong together, this one among them. */
  tabs?: { text: string; href: string }[];
  empty: string;
  /** Milliseconds after which the first page is read again. */
  every?: number;
}

export interface Fact {
  label: string;
  cell: Cell;
}

export type Section =
  | { title: string; list: List<never> }
  | { title: string; json: unknown }
  | { title: string; text: string }
  | { title: string; facts: Fact[] }
  | { title: string; view: "timeline"; data: TimelineItem[] }
  | { title: string; view: "source"; source: SourceLines }
  | { title: string; view: "chart"; chart: ChartData };

/** Lines of an author's source, with the place that they are about. All numbers begin with 1. */
export interface SourceLines {
  file: string;
  first: number;
  lines: string[];
  line: number;
  column: number;
}

export interface ChartSeries {
  label: string;
  /** A variable of the design, such as `--accent`. */
  color: string;
  values: (number | null)[];
}

export interface ChartData {
  label: string;
  /** Milliseconds since 1970. */
  times: number[];
  series: ChartSeries[];
  format?(value: number): string;
}

export interface TimelineItem {
  label: string;
  detail: string;
  /** Microseconds. */
  length: number;
  total: number;
}

export interface Detail {
  title: string;
  facts: Fact[];
  reasons?: (Reason | undefined)[];
  actions?: Action[];
  download?: Download;
  sections?: Section[];
}

/** The page of one thing. */
export interface DetailPage {
  crumbs: { text: string; href: string }[];
  load(): Promise<Detail>;
  every?: number;
}

export const text = (value: string | number | null | undefined, mono = false): Cell =>
  value === null || value === undefined || value === ""
    ? { kind: "text", text: "\u2013", dim: true }
    : { kind: "text", text: String(value), mono };
export const mono = (value: string | number | null | undefined): Cell => text(value, true);
export const link = (value: string, href: string): Cell => ({ kind: "link", text: value, href });
export const time = (at: number | null | undefined): Cell => ({ kind: "time", at });
export const tags = (list: string[] | null | undefined): Cell => ({ kind: "tags", tags: list ?? [] });
export const json = (value: unknown): Cell => ({ kind: "json", value });

/** A list of one kind of row among those of other kinds. */
export const section = <Row>(title: string, list: List<Row>): Section => ({
  title,
  list: list as unknown as List<never>,
});
