// Drafts: projects that are edited in the console, and what is done with them on the server.

import type { Marker } from "../editor/protocol";
import { api, apiError, ifMatch, take, type Page, type Schemas } from "../lib/client";
import { bytes, number } from "../lib/format";
import type { Files } from "../lib/merge";
import { path } from "../lib/router.svelte";
import { mono, text, time, type Action, type List } from "../kit/types";
import { m } from "../lib/texts";
import { given } from "./common";

export type Draft = Schemas["Draft"];
export type Build = Schemas["DraftBuild"];
type Summary = Schemas["DraftSummary"];

const DRAFTS = "/v1/tenants/{tenant}/drafts";
const DRAFT = `${DRAFTS}/{draft}` as const;

export const draftPath = (tenant: string, draft: string): string => path("t", tenant, "drafts", draft);

const templates = () => [
  { value: "hello", label: m.template_hello() },
  { value: "api", label: m.template_api() },
  { value: "hono", label: m.template_hono() },
  { value: "schedule", label: m.template_schedule() },
  { value: "event", label: m.template_event() },
  { value: "worker", label: m.template_worker() },
];

export const readDraft = (tenant: string, draft: string): Promise<Draft> =>
  take(api.GET(DRAFT, { params: { path: { tenant, draft } } }));

/** The draft after a save of all its files, or as somebody else saved it before. */
export async function saveDraft(
  tenant: string,
  draft: string,
  files: Files,
  revision: number,
): Promise<{ saved: Draft } | { conflict: Draft }> {
  const result = await api
    .PUT(DRAFT, { params: { path: { tenant, draft } }, headers: ifMatch(revision), body: { files } })
    .catch((error: unknown) => {
      throw apiError(error);
    });
  const { current } = (result.error ?? {}) as Partial<Schemas["DraftConflict"]>;
  if (result.response.status === 412 && current !== undefined) return { conflict: current };
  return { saved: await take(Promise.resolve(result)) };
}

export const buildDraft = (tenant: string, draft: string, revision: number, check: boolean): Promise<Build> =>
  take(api.POST(`${DRAFT}/builds`, { params: { path: { tenant, draft } }, body: { revision, check } }));

export function deleteDraft(tenant: string, draft: string, revision?: number): Action {
  return {
    id: "delete-draft",
    label: m.remove(),
    tone: "danger",
    confirm: m.delete_draft_confirm({ name: draft }),
    async run() {
      const headers = revision === undefined ? {} : ifMatch(revision);
      await take(api.DELETE(DRAFT, { params: { path: { tenant, draft } }, headers }));
      return { go: path("t", tenant, "drafts") };
    },
  };
}

/** The defects that the server found, for their lines; one without a place is about the project's first line. */
export const markersOf = (build: Build | undefined, entry: string): Marker[] =>
  (build?.diagnostics ?? []).map(({ file, line, column, severity, code, message, help }) => ({
    file: file ?? entry,
    line: line ?? 1,
    column: column ?? 1,
    severity: severity === "warning" ? "warning" : "error",
    code,
    message: help ? `${message}\n${help}` : message,
  }));

export function drafts(tenant: string): List<Summary> {
  return {
    title: m.drafts(),
    intro: m.drafts_intro(),
    load: (after): Promise<Page<Summary>> =>
      take(api.GET(DRAFTS, { params: { path: { tenant }, query: given({ after }) } })),
    key: (row) => row.draft,
    href: (row) => draftPath(tenant, row.draft),
    columns: [
      { label: m.draft(), cell: (row) => text(row.draft) },
      { label: m.files(), right: true, cell: (row) => text(number(row.files)) },
      { label: m.size(), right: true, wide: true, cell: (row) => text(bytes(row.bytes)) },
      { label: m.revision(), right: true, wide: true, cell: (row) => mono(row.revision) },
      { label: m.changed(), cell: (row) => time(row.changed_at) },
      { label: m.by(), wide: true, cell: (row, names) => text(names[row.changed_by] ?? row.changed_by) },
    ],
    rowActions: (row) => [deleteDraft(tenant, row.draft)],
    actions: [
      {
        id: "create-draft",
        label: m.create_draft(),
        tone: "primary",
        fields: [
          { name: "draft", label: m.name(), kind: "text", required: true, hint: m.draft_name_hint() },
          { name: "template", label: m.template(), kind: "choice", choices: templates(), value: "hello" },
        ],
        async run({ draft = "", template = "" }) {
          await take(api.PUT(DRAFT, { params: { path: { tenant, draft } }, body: { template } }));
          return { go: draftPath(tenant, draft) };
        },
      },
    ],
    filters: [{ name: "q", label: m.search(), local: true }],
    empty: m.drafts_empty(),
  };
}
