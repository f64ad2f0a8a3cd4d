import { jobStateValues, jobTriggerValues, workflowStateValues } from "../api/schema";
import { api, take, type Schemas } from "../lib/client";
import { path } from "../lib/router.svelte";
import { state, stateLabel } from "../lib/states";
import { why, type Reason } from "../lib/why";
import { json, link, mono, section, text, time, type Action, type DetailPage, type List } from "../kit/types";
import { m } from "../lib/texts";
import { componentFilter, environmentFilter, environmentName, given, parsed } from "./common";
import { executions } from "./executions";

type Job = Schemas["JobRecord"];
type Step = Schemas["StepRecord"];
type Workflow = Schemas["WorkflowRecord"];

export const triggerName = (trigger: string): string =>
  ({ schedule: m.trigger_schedule(), job: m.trigger_job(), event: m.trigger_event(), webhook: m.trigger_webhook() })[
    trigger
  ] ?? trigger;

/** Why a job is not running, as closely as its record says. */
export function whyJob(job: Job): Reason | undefined {
  const context = { component: job.component, environment: job.environment };
  if (job.cancelling) return why("job-waits-for", "cancelling", undefined, context);
  if (job.state !== "waiting") return why("job", job.state, job.error, context);
  if (job.attempt > 0 && job.waits_for === "time" && job.error)
    return why("job-waits-for", "retry", job.error, context);
  return why("job-waits-for", job.waits_for, undefined, context) ?? why("job", "waiting", undefined, context);
}

const jobState = (job: Job) => {
  const shown = state(job.cancelling ? "cancelled" : job.state);
  return { ...shown, why: whyJob(job) };
};

export function jobActions(tenant: string, job: Job): Action[] {
  const params = { path: { tenant, job: job.id } };
  const actions: Action[] = [];
  if (job.state === "dead" || job.state === "cancelled") {
    actions.push({
      id: "retry",
      label: m.act_retry(),
      async run() {
        await take(api.POST("/v1/tenants/{tenant}/jobs/{job}/retry", { params }));
      },
    });
  }
  if (job.state === "dead") {
    actions.push({
      id: "discard",
      label: m.discard(),
      tone: "danger",
      confirm: m.discard_confirm(),
      async run() {
        await take(api.POST("/v1/tenants/{tenant}/jobs/{job}/discard", { params }));
      },
    });
  }
  if (job.state === "waiting" || job.state === "ready" || job.state === "leased") {
    actions.push({
      id: "cancel",
      label: m.cancel_job(),
      tone: "danger",
      confirm: m.cancel_job_confirm(),
      async run() {
        await take(api.POST("/v1/tenants/{tenant}/jobs/{job}/cancel", { params }));
      },
    });
  }
  return actions;
}

const columns = (tenant: string): List<Job>["columns"] => [
  { label: m.enqueued(), cell: (job) => time(job.enqueued_at) },
  { label: m.state(), cell: jobState },
  { label: m.trigger(), cell: (job) => text(triggerName(job.trigger)) },
  { label: m.name(), cell: (job) => mono(job.name) },
  { label: m.component(), cell: (job) => link(job.component, path("t", tenant, "components", job.component)) },
  { label: m.environment(), wide: true, cell: (job) => text(environmentName(job.environment)) },
  { label: m.attempt(), right: true, wide: true, cell: (job) => text(job.attempt) },
  { label: m.due(), wide: true, cell: (job) => time(job.due) },
  { label: m.error(), wide: true, cell: (job) => mono(job.error) },
];

export function jobs(tenant: string, fixed: Record<string, string> = {}): List<Job> {
  return {
    title: m.jobs(),
    load(after, filters) {
      const { component, environment, trigger, name, state: wanted } = { ...filters, ...fixed };
      return take(
        api.GET("/v1/tenants/{tenant}/jobs", {
          params: { path: { tenant }, query: given({ after, component, environment, trigger, name, state: wanted }) },
        }),
      );
    },
    key: (job) => job.id,
    href: (job) => path("t", tenant, "jobs", job.id),
    columns: columns(tenant),
    rowActions: (job) => jobActions(tenant, job),
    filters: [
      componentFilter(),
      environmentFilter(),
      {
        name: "trigger",
        label: m.trigger(),
        choices: jobTriggerValues.map((value) => ({ value, label: triggerName(value) })),
      },
      {
        name: "state",
        label: m.state(),
        choices: jobStateValues.map((value) => ({ value, label: stateLabel(value) })),
      },
      { name: "name", label: m.name() },
    ],
    empty: m.jobs_empty(),
    every: 5_000,
  };
}

export function deadLetters(tenant: string): List<Job> {
  const selection = (values: Record<string, string>) => ({
    body: given({
      component: values["component"],
      environment: values["environment"],
      name: values["name"],
    }) as Schemas["JobSelection"],
    params: { path: { tenant } },
  });
  const fields = () => [
    { name: "component", label: m.component(), kind: "text" as const, hint: m.selection_hint() },
    { name: "name", label: m.subscription(), kind: "text" as const },
  ];
  return {
    title: m.dead_letters(),
    intro: m.dead_letters_intro(),
    load: (after, { component, environment, subscription }) =>
      take(
        api.GET("/v1/tenants/{tenant}/dead-letters", {
          params: { path: { tenant }, query: given({ after, component, environment, subscription }) },
        }),
      ),
    key: (job) => job.id,
    href: (job) => path("t", tenant, "jobs", job.id),
    columns: columns(tenant),
    rowActions: (job) => jobActions(tenant, job),
    actions: [
      {
        id: "retry-all",
        label: m.retry_selection(),
        fields: fields(),
        async run(values) {
          const { jobs: count } = await take(api.POST("/v1/tenants/{tenant}/dead-letters/retry", selection(values)));
          return { text: m.jobs_changed({ count }) };
        },
      },
      {
        id: "discard-all",
        label: m.discard_selection(),
        tone: "danger",
        confirm: m.discard_confirm(),
        fields: fields(),
        async run(values) {
          const { jobs: count } = await take(api.POST("/v1/tenants/{tenant}/dead-letters/discard", selection(values)));
          return { text: m.jobs_changed({ count }) };
        },
      },
    ],
    filters: [componentFilter(), environmentFilter(), { name: "subscription", label: m.subscription() }],
    empty: m.dead_letters_empty(),
    every: 10_000,
  };
}

const stepColumns = (): List<Step>["columns"] => [
  { label: m.position(), right: true, cell: (step) => text(step.position) },
  { label: m.name(), cell: (step) => mono(step.name) },
  {
    label: m.kind(),
    cell: (step) => text(step.kind === "step" ? m.step_step() : step.kind === "sleep" ? m.step_sleep() : m.step_wait()),
  },
  { label: m.state(), cell: (step) => state(step.state, "step", step.error) },
  { label: m.time(), cell: (step) => time(step.at) },
  { label: m.until(), wide: true, cell: (step) => time(step.until) },
  { label: m.waits_for(), wide: true, cell: (step) => mono(step.waits_for) },
  {
    label: m.result(),
    cell: (step) => (step.error ? mono(step.error) : step.result ? json(parsed(step.result)) : text("")),
  },
];

export function steps(tenant: string, job: string): List<Step> {
  return {
    title: m.steps(),
    load: (after) =>
      take(
        api.GET("/v1/tenants/{tenant}/jobs/{job}/steps", {
          params: { path: { tenant, job }, query: given({ after }) },
        }),
      ),
    key: (step) => String(step.position),
    columns: stepColumns(),
    empty: m.steps_empty(),
  };
}

export function job(tenant: string, id: string): DetailPage {
  return {
    crumbs: [{ text: m.jobs(), href: path("t", tenant, "jobs") }],
    async load() {
      const row = await take(api.GET("/v1/tenants/{tenant}/jobs/{job}", { params: { path: { tenant, job: id } } }));
      return {
        title: `${triggerName(row.trigger)} ${row.name}`,
        facts: [
          { label: m.state(), cell: jobState(row) },
          { label: m.component(), cell: link(row.component, path("t", tenant, "components", row.component)) },
          { label: m.environment(), cell: text(environmentName(row.environment)) },
          { label: m.enqueued(), cell: time(row.enqueued_at) },
          { label: m.due(), cell: time(row.due) },
          { label: m.finished(), cell: time(row.finished_at) },
          { label: m.attempt(), cell: text(row.attempt) },
          { label: m.version(), cell: text(row.version) },
          { label: m.priority(), cell: text(row.priority) },
          { label: m.key(), cell: mono(row.key) },
          { label: m.ordering_key(), cell: mono(row.ordering_key) },
          { label: m.concurrency_key(), cell: mono(row.concurrency_key) },
          { label: m.replayed_by(), cell: text(row.replayed_by) },
          { label: m.id(), cell: mono(row.id) },
        ],
        reasons: [whyJob(row)],
        actions: jobActions(tenant, row),
        sections: [
          ...(row.error ? [{ title: m.error(), text: row.error }] : []),
          { title: m.input(), json: parsed(row.input) },
          ...(row.result ? [{ title: m.result(), json: parsed(row.result) }] : []),
          section(m.steps(), steps(tenant, id)),
          section(m.attempts(), { ...executions(tenant, { job: id }, m.attempts()), intro: "" }),
        ],
      };
    },
    every: 4_000,
  };
}

const whyWorkflow = (row: Workflow): Reason | undefined =>
  why("workflow", row.state, row.error, { component: row.component, environment: row.environment });

export function workflows(tenant: string): List<Workflow> {
  return {
    title: m.workflows(),
    intro: m.workflows_intro(),
    load: (after, { component, environment, name, state: wanted }) =>
      take(
        api.GET("/v1/tenants/{tenant}/workflows", {
          params: { path: { tenant }, query: given({ after, component, environment, name, state: wanted }) },
        }),
      ),
    key: (row) => row.id,
    href: (row) => path("t", tenant, "workflows", row.id),
    columns: [
      { label: m.enqueued(), cell: (row) => time(row.enqueued_at) },
      { label: m.state(), cell: (row) => ({ ...state(row.state), why: whyWorkflow(row) }) },
      { label: m.name(), cell: (row) => mono(row.name) },
      { label: m.component(), cell: (row) => link(row.component, path("t", tenant, "components", row.component)) },
      { label: m.environment(), wide: true, cell: (row) => text(environmentName(row.environment)) },
      { label: m.steps(), right: true, cell: (row) => text(row.step_count) },
      { label: m.last_step(), wide: true, cell: (row) => mono(row.last_step?.name) },
      { label: m.until(), wide: true, cell: (row) => time(row.until) },
    ],
    filters: [
      componentFilter(),
      environmentFilter(),
      { name: "name", label: m.name() },
      {
        name: "state",
        label: m.state(),
        choices: workflowStateValues.map((value) => ({ value, label: stateLabel(value) })),
      },
    ],
    empty: m.workflows_empty(),
    every: 5_000,
  };
}

export function workflow(tenant: string, id: string): DetailPage {
  return {
    crumbs: [{ text: m.workflows(), href: path("t", tenant, "workflows") }],
    async load() {
      const row = await take(
        api.GET("/v1/tenants/{tenant}/workflows/{job}", { params: { path: { tenant, job: id } } }),
      );
      const record = await take(api.GET("/v1/tenants/{tenant}/jobs/{job}", { params: { path: { tenant, job: id } } }));
      return {
        title: row.name,
        facts: [
          { label: m.state(), cell: { ...state(row.state), why: whyWorkflow(row) } },
          { label: m.component(), cell: link(row.component, path("t", tenant, "components", row.component)) },
          { label: m.environment(), cell: text(environmentName(row.environment)) },
          { label: m.enqueued(), cell: time(row.enqueued_at) },
          { label: m.finished(), cell: time(row.finished_at) },
          { label: m.until(), cell: time(row.until) },
          { label: m.waits_for(), cell: mono(row.waits_for) },
          { label: m.attempt(), cell: text(row.attempt) },
          { label: m.job(), cell: link(row.id, path("t", tenant, "jobs", row.id)) },
        ],
        reasons: [whyWorkflow(row)],
        actions: jobActions(tenant, record),
        sections: [
          section(m.steps(), {
            title: m.steps(),
            load: () => Promise.resolve({ items: row.steps }),
            key: (step: Step) => String(step.position),
            columns: stepColumns(),
            empty: m.steps_empty(),
          }),
          ...(row.error ? [{ title: m.error(), text: row.error }] : []),
          section(m.attempts(), { ...executions(tenant, { job: id }, m.attempts()), intro: "" }),
        ],
      };
    },
    every: 4_000,
  };
}
