// Why something is not running as it should: one sentence with the reason, and one action that helps.
//
// The table is the only place where states and codes get a sentence. test/why.test.ts compares it with the OpenAPI
// document's enumerations and with the error codes of the Rust sources, and wants a sentence of its own for each state
// in each language.

import type { Schemas } from "./client";
import { path } from "./router.svelte";
import { m } from "./texts";

export type ReasonTone = "wait" | "warn" | "bad";

export interface Reason {
  sentence: string;
  /** What the platform itself says about the case at hand. */
  detail?: string | undefined;
  action: ActionName;
  tone: ReasonTone;
  context?: Record<string, string>;
}

type Context = Record<string, string | undefined>;
type Row = [sentence: () => string, action: ActionName, tone: ReasonTone];

const inTenant =
  (...rest: string[]) =>
  (context: Context): string | undefined =>
    context["tenant"] === undefined ? undefined : path("t", context["tenant"], ...rest);

const ofService =
  (tab: string) =>
  (context: Context): string | undefined => {
    const { tenant, component, environment } = context;
    if (tenant === undefined || component === undefined) return undefined;
    const query = new URLSearchParams({ tab });
    if (environment !== undefined) query.set("environment", environment);
    return `${path("t", tenant, "components", component)}?${query.toString()}`;
  };

const failedExecutions = (context: Context): string | undefined => {
  const list = inTenant("executions")(context);
  if (list === undefined) return undefined;
  const query = new URLSearchParams({ failed: "true" });
  if (context["component"] !== undefined) query.set("component", context["component"]);
  if (context["environment"] !== undefined) query.set("environment", context["environment"]);
  return `${list}?${query.toString()}`;
};

const jobOf = (context: Context): string | undefined =>
  context["tenant"] === undefined || context["waits"] === undefined
    ? inTenant("jobs")(context)
    : path("t", context["tenant"], "jobs", context["waits"]);

/** What helps. A page that can do it itself has an action of this name; else the address leads to where it is done. */
const ACTIONS = {
  log: [() => m.act_log(), ofService("log")],
  failures: [() => m.act_failures(), failedExecutions],
  running: [() => m.act_running(), inTenant("running")],
  rollout: [() => m.act_rollout(), ofService("rollout")],
  versions: [() => m.act_versions(), ofService("versions")],
  deployments: [() => m.act_deployments(), ofService("deployments")],
  deploy: [() => m.act_deploy(), ofService("versions")],
  rollback: [() => m.act_rollback(), ofService("overview")],
  start: [() => m.act_start(), ofService("overview")],
  "start-worker": [() => m.act_start_worker(), ofService("workers")],
  "restart-worker": [() => m.act_restart_worker(), ofService("workers")],
  send: [() => m.send_message(), ofService("workers")],
  workers: [() => m.act_workers(), ofService("workers")],
  resume: [() => m.act_resume(), inTenant("schedules")],
  "resume-subscription": [() => m.act_resume_subscription(), inTenant("subscriptions")],
  "resume-rollout": [() => m.act_resume_rollout(), ofService("rollout")],
  "run-now": [() => m.act_run_now(), inTenant("schedules")],
  retry: [() => m.act_retry(), inTenant("dead-letters")],
  jobs: [() => m.act_jobs(), inTenant("jobs")],
  "blocking-job": [() => m.act_blocking_job(), jobOf],
  events: [() => m.act_events(), inTenant("events")],
  schedules: [() => m.act_schedules(), inTenant("schedules")],
  "enable-flag": [() => m.enable_flag(), inTenant("flags")],
  drafts: [() => m.act_drafts(), inTenant("drafts")],
  quotas: [() => m.act_quotas(), inTenant("quotas")],
  limits: [() => m.act_limits(), ofService("limits")],
  capabilities: [() => m.act_capabilities(), inTenant("quotas")],
  secrets: [() => m.act_secrets(), ofService("secrets")],
  packages: [() => m.act_packages(), inTenant("packages")],
  roles: [() => m.act_roles(), inTenant("roles")],
  users: [() => m.act_users(), inTenant("users")],
  tokens: [() => m.act_tokens(), inTenant("tokens")],
  keys: [() => m.act_keys(), inTenant("keys")],
  organizations: [() => m.act_organizations(), inTenant("organizations")],
  components: [() => m.act_components(), inTenant("components")],
  "resolve-issue": [() => m.act_resolve_issue(), inTenant("issues")],
  alerts: [() => m.act_alerts(), inTenant("alerts")],
  "edit-rule": [() => m.act_edit_rule(), inTenant("alerts", "rules")],
  "enable-rule": [() => m.act_enable_rule(), inTenant("alerts", "rules")],
  silence: [() => m.act_silence(), inTenant("alerts", "silences")],
  silences: [() => m.act_silences(), inTenant("alerts", "silences")],
  "test-receiver": [() => m.act_test_receiver(), inTenant("alerts", "receivers")],
  health: [() => m.act_health(), () => "/health"],
  "transparency-log": [() => m.act_transparency_log(), () => "/log"],
  "sign-in": [() => m.act_sign_in(), () => "/"],
  reload: [() => m.act_reload(), () => undefined],
  correct: [() => m.act_correct(), () => undefined],
} satisfies Record<string, [() => string, (context: Context) => string | undefined]>;

export type ActionName = keyof typeof ACTIONS;

export const actionNames = Object.keys(ACTIONS) as ActionName[];
export const actionLabel = (action: ActionName): string => ACTIONS[action][0]();
export const actionHref = (action: ActionName, context: Context): string | undefined => ACTIONS[action][1](context);

type Health = Exclude<Schemas["Health"], "healthy">;

export const TABLE = {
  service: {
    degraded: [m.why_service_degraded, "failures", "warn"],
    open: [m.why_service_open, "failures", "bad"],
    "half-open": [m.why_service_half_open, "log", "warn"],
    stopped: [m.why_service_stopped, "start", "bad"],
  } satisfies Record<Health, Row>,
  "trigger-health": {
    degraded: [m.why_triggers_degraded, "jobs", "warn"],
    open: [m.why_triggers_open, "jobs", "bad"],
    "half-open": [m.why_triggers_half_open, "jobs", "warn"],
    stopped: [m.why_triggers_stopped, "start", "bad"],
  } satisfies Record<Health, Row>,
  release: {
    problem: [m.why_release_problem, "rollback", "bad"],
    pending: [m.why_release_pending, "health", "warn"],
    "stopped-by-hand": [m.why_release_stopped_by_hand, "start", "bad"],
  },
  deployment: {
    canary: [m.why_deployment_canary, "rollout", "wait"],
    superseded: [m.why_deployment_superseded, "versions", "wait"],
    "rolled-back": [m.why_deployment_rolled_back, "failures", "bad"],
  } satisfies Record<Exclude<Schemas["DeploymentState"], "active">, Row>,
  rollout: {
    running: [m.why_rollout_running, "rollout", "wait"],
    paused: [m.why_rollout_paused, "resume-rollout", "warn"],
    aborted: [m.why_rollout_aborted, "deploy", "bad"],
    "rolled-back": [m.why_rollout_rolled_back, "failures", "bad"],
  } satisfies Record<Exclude<Schemas["RolloutState"]["state"], "promoted">, Row>,
  verdict: {
    worse: [m.why_verdict_worse, "failures", "bad"],
    unclear: [m.why_verdict_unclear, "rollout", "wait"],
  } satisfies Record<Exclude<Schemas["Verdict"], "better">, Row>,
  job: {
    waiting: [m.why_job_waiting, "jobs", "wait"],
    ready: [m.why_job_ready, "running", "wait"],
    dead: [m.why_job_dead, "retry", "bad"],
    cancelled: [m.why_job_cancelled, "retry", "warn"],
  } satisfies Record<Exclude<Schemas["JobState"], "done" | "leased">, Row>,
  "job-waits-for": {
    time: [m.why_job_waits_time, "jobs", "wait"],
    jobs: [m.why_job_waits_jobs, "blocking-job", "wait"],
    order: [m.why_job_waits_order, "blocking-job", "wait"],
    event: [m.why_job_waits_event, "events", "wait"],
    retry: [m.why_job_waits_retry, "failures", "warn"],
    cancelling: [m.why_job_cancelling, "running", "wait"],
  },
  workflow: {
    ready: [m.why_workflow_ready, "running", "wait"],
    sleeping: [m.why_workflow_sleeping, "jobs", "wait"],
    waiting: [m.why_workflow_waiting, "events", "wait"],
    retrying: [m.why_workflow_retrying, "failures", "warn"],
    failed: [m.why_workflow_failed, "retry", "bad"],
    cancelled: [m.why_workflow_cancelled, "retry", "warn"],
  } satisfies Record<Exclude<Schemas["WorkflowState"], "done" | "running">, Row>,
  step: {
    failed: [m.why_step_failed, "failures", "bad"],
    waiting: [m.why_step_waiting, "events", "wait"],
    "timed-out": [m.why_step_timed_out, "events", "warn"],
  } satisfies Record<Exclude<Schemas["StepState"], "done">, Row>,
  "skipped-tick": {
    overlap: [m.why_tick_overlap, "running", "warn"],
    "too-late": [m.why_tick_too_late, "health", "warn"],
    paused: [m.why_tick_paused, "resume", "wait"],
    "catch-up": [m.why_tick_catch_up, "health", "warn"],
    quota: [m.why_tick_quota, "quotas", "bad"],
  },
  schedule: {
    paused: [m.why_schedule_paused, "resume", "wait"],
    "no-next": [m.why_schedule_no_next, "deployments", "bad"],
    failing: [m.why_schedule_failing, "failures", "bad"],
    late: [m.why_schedule_late, "health", "warn"],
  },
  subscription: {
    paused: [m.why_subscription_paused, "resume-subscription", "wait"],
  },
  worker: {
    asleep: [m.why_worker_asleep, "send", "wait"],
    waiting: [m.why_worker_waiting, "workers", "wait"],
  } satisfies Record<Exclude<Schemas["WorkerCondition"], "idle" | "running">, Row>,
  "worker-health": {
    unknown: [m.why_worker_unknown, "workers", "wait"],
    unhealthy: [m.why_worker_unhealthy, "restart-worker", "bad"],
  } satisfies Record<Exclude<Schemas["WorkerHealth"], "healthy">, Row>,
  "worker-trouble": {
    "given-up": [m.why_worker_given_up, "start-worker", "bad"],
    "upgrade-error": [m.why_worker_upgrade_error, "log", "bad"],
    "rolled-back": [m.why_worker_rolled_back, "deployments", "warn"],
    dropped: [m.why_worker_dropped, "limits", "warn"],
  },
  quota: {
    reject: [m.why_quota_reject, "quotas", "bad"],
    queue: [m.why_quota_queue, "quotas", "warn"],
    throttle: [m.why_quota_throttle, "quotas", "warn"],
  } satisfies Record<Schemas["QuotaAction"], Row>,
  access: {
    "token-revoked": [m.why_access_token_revoked, "tokens", "wait"],
    "token-expired": [m.why_access_token_expired, "tokens", "warn"],
    "user-disabled": [m.why_access_user_disabled, "users", "warn"],
    "user-deleted": [m.why_access_user_deleted, "users", "wait"],
    "organization-disabled": [m.why_access_organization_disabled, "organizations", "warn"],
    "organization-deleted": [m.why_access_organization_deleted, "organizations", "wait"],
    "key-revoked": [m.why_access_key_revoked, "keys", "wait"],
  },
  package: {
    none: [m.why_package_none, "packages", "wait"],
    low: [m.why_package_low, "packages", "wait"],
    moderate: [m.why_package_moderate, "packages", "warn"],
    high: [m.why_package_high, "packages", "bad"],
    critical: [m.why_package_critical, "packages", "bad"],
  } satisfies Record<Schemas["Severity"], Row>,
  issue: {
    new: [m.why_issue_new, "resolve-issue", "bad"],
    regressed: [m.why_issue_regressed, "rollback", "bad"],
  } satisfies Record<Exclude<Schemas["IssueState"], "ignored" | "resolved">, Row>,
  // Failures that are in no issue.
  issues: {
    folded: [m.why_issues_folded, "resolve-issue", "warn"],
    unrecorded: [m.why_issues_unrecorded, "failures", "warn"],
  },
  trace: {
    failed: [m.why_trace_failed, "failures", "bad"],
  },
  series: {
    "left-out": [m.why_series_left_out, "components", "warn"],
  },
  alert: {
    pending: [m.why_alert_pending, "edit-rule", "warn"],
    firing: [m.why_alert_firing, "silence", "bad"],
    recovering: [m.why_alert_recovering, "alerts", "wait"],
  } satisfies Record<Exclude<Schemas["AlertState"], "inactive" | "resolved">, Row>,
  "alert-silence": {
    silenced: [m.why_alert_silenced, "silences", "wait"],
  },
  "alert-rule": {
    disabled: [m.why_alert_rule_disabled, "enable-rule", "wait"],
  },
  receiver: {
    failing: [m.why_receiver_failing, "test-receiver", "bad"],
  },
  security: {
    denied: [m.why_security_denied, "roles", "warn"],
    "egress-refused": [m.why_security_egress_refused, "capabilities", "bad"],
    "sign-in-failed": [m.why_security_sign_in_failed, "tokens", "bad"],
    "limit-hit": [m.why_security_limit_hit, "limits", "warn"],
  } satisfies Record<Schemas["SecurityKind"], Row>,
  flag: {
    DISABLED: [m.why_flag_disabled, "enable-flag", "wait"],
  } satisfies Record<Exclude<Schemas["FlagState"], "ENABLED">, Row>,
  draft: {
    errors: [m.why_draft_errors, "correct", "bad"],
    "not-built": [m.why_draft_not_built, "correct", "bad"],
    "saved-meanwhile": [m.why_draft_saved_meanwhile, "correct", "warn"],
  },
  usage: {
    near: [m.why_usage_near, "quotas", "warn"],
    over: [m.why_usage_over, "quotas", "bad"],
  },
  platform: {
    finding: [m.why_platform_finding, "health", "bad"],
    "log-lost": [m.why_platform_log_lost, "limits", "warn"],
    "log-ended": [m.why_platform_log_ended, "log", "warn"],
    "log-broken": [m.why_platform_log_broken, "log", "warn"],
  },
  // Why an execution did not end well: the codes of the host, and those of triggers.
  execution: {
    "out-of-fuel": [m.why_run_out_of_fuel, "limits", "bad"],
    "out-of-memory": [m.why_run_out_of_memory, "limits", "bad"],
    deadline: [m.why_run_deadline, "limits", "bad"],
    "stack-overflow": [m.why_run_stack_overflow, "log", "bad"],
    exception: [m.why_run_exception, "versions", "bad"],
    "never-settles": [m.why_run_never_settles, "versions", "bad"],
    trap: [m.why_run_trap, "log", "bad"],
    "host-call-too-large": [m.why_run_host_call_too_large, "versions", "bad"],
    "turn-too-large": [m.why_run_turn_too_large, "workers", "bad"],
    "no-response": [m.why_run_no_response, "versions", "bad"],
    "slow-client": [m.why_run_slow_client, "running", "warn"],
    cancelled: [m.why_run_cancelled, "running", "warn"],
    "bad-request": [m.why_run_bad_request, "log", "warn"],
    "request-too-large": [m.why_run_request_too_large, "limits", "warn"],
    "response-too-large": [m.why_run_response_too_large, "limits", "bad"],
    overloaded: [m.why_run_overloaded, "running", "bad"],
    "bad-component": [m.why_run_bad_component, "versions", "bad"],
    "component-too-large": [m.why_run_component_too_large, "versions", "bad"],
    "compile-limit": [m.why_run_compile_limit, "versions", "bad"],
    "foreign-import": [m.why_run_foreign_import, "versions", "bad"],
    "capability-denied": [m.why_run_capability_denied, "capabilities", "bad"],
    "bad-configuration": [m.why_run_bad_configuration, "versions", "bad"],
    "capability-unavailable": [m.why_run_capability_unavailable, "health", "bad"],
    "missing-export": [m.why_run_missing_export, "versions", "bad"],
    "unknown-engine": [m.why_run_unknown_engine, "versions", "bad"],
    "unknown-base": [m.why_run_unknown_base, "versions", "bad"],
    "engine-mismatch": [m.why_run_engine_mismatch, "versions", "bad"],
    "heap-mismatch": [m.why_run_heap_mismatch, "workers", "bad"],
    "heap-damaged": [m.why_run_heap_damaged, "workers", "bad"],
    "cache-unwritable": [m.why_run_cache_unwritable, "health", "bad"],
    io: [m.why_run_io, "health", "bad"],
    internal: [m.why_run_internal, "health", "bad"],
    "nondeterministic-turn": [m.why_run_nondeterministic_turn, "versions", "bad"],
    "nondeterministic-step": [m.why_run_nondeterministic_step, "versions", "bad"],
    "too-many-steps": [m.why_run_too_many_steps, "versions", "bad"],
    "outcome-too-large": [m.why_run_outcome_too_large, "versions", "bad"],
    "journal-too-large": [m.why_run_journal_too_large, "versions", "bad"],
    "invalid-name": [m.why_run_invalid_name, "versions", "bad"],
    "too-long": [m.why_run_too_long, "versions", "bad"],
    "not-running": [m.why_run_not_running, "health", "bad"],
    "invalid-event": [m.why_run_invalid_event, "events", "bad"],
    "too-many-hops": [m.why_run_too_many_hops, "events", "bad"],
  },
  // Why the admin API did not do something.
  refusal: {
    "bad-name": [m.refusal_bad_name, "correct", "warn"],
    "bad-input": [m.refusal_bad_input, "correct", "warn"],
    unauthenticated: [m.refusal_unauthenticated, "sign-in", "warn"],
    "token-expired": [m.refusal_token_expired, "sign-in", "warn"],
    "no-role": [m.refusal_no_role, "users", "bad"],
    "auth-unavailable": [m.refusal_auth_unavailable, "reload", "bad"],
    "rate-limited": [m.refusal_rate_limited, "reload", "warn"],
    forbidden: [m.refusal_forbidden, "roles", "bad"],
    "not-found": [m.refusal_not_found, "components", "warn"],
    "method-not-allowed": [m.refusal_method_not_allowed, "reload", "bad"],
    "already-there": [m.refusal_already_there, "correct", "warn"],
    "in-use": [m.refusal_in_use, "deployments", "warn"],
    "wrong-state": [m.refusal_wrong_state, "reload", "warn"],
    "idempotency-mismatch": [m.refusal_idempotency_mismatch, "reload", "bad"],
    stale: [m.refusal_stale, "reload", "warn"],
    "too-large": [m.refusal_too_large, "correct", "warn"],
    "digest-mismatch": [m.refusal_digest_mismatch, "versions", "bad"],
    "signature-refused": [m.refusal_signature_refused, "keys", "bad"],
    "sbom-missing": [m.refusal_sbom_missing, "versions", "bad"],
    "integrity-missing": [m.refusal_integrity_missing, "packages", "bad"],
    "integrity-mismatch": [m.refusal_integrity_mismatch, "packages", "bad"],
    "package-denied": [m.refusal_package_denied, "packages", "bad"],
    "package-vulnerable": [m.refusal_package_vulnerable, "packages", "bad"],
    "advisories-missing": [m.refusal_advisories_missing, "health", "bad"],
    "missing-configuration": [m.refusal_missing_configuration, "secrets", "bad"],
    "not-allowed": [m.refusal_not_allowed, "capabilities", "bad"],
    "above-ceiling": [m.refusal_above_ceiling, "quotas", "bad"],
    "compile-timeout": [m.refusal_compile_timeout, "versions", "bad"],
    "build-limit": [m.refusal_build_limit, "drafts", "bad"],
    "builds-unavailable": [m.refusal_builds_unavailable, "health", "bad"],
    "smoke-failed": [m.refusal_smoke_failed, "failures", "bad"],
    "quota-exceeded": [m.refusal_quota_exceeded, "quotas", "bad"],
    "artifact-missing": [m.refusal_artifact_missing, "versions", "bad"],
    "not-in-log": [m.refusal_not_in_log, "transparency-log", "bad"],
    "store-unavailable": [m.refusal_store_unavailable, "health", "bad"],
    "store-missing": [m.refusal_store_missing, "health", "bad"],
    "store-mismatch": [m.refusal_store_mismatch, "health", "bad"],
    "no-space-left": [m.refusal_no_space_left, "health", "bad"],
    "storage-failed": [m.refusal_storage_failed, "health", "bad"],
    "circuit-open": [m.refusal_circuit_open, "failures", "bad"],
    stopped: [m.refusal_stopped, "start", "bad"],
    "bulkhead-full": [m.refusal_bulkhead_full, "running", "bad"],
    "read-only": [m.refusal_read_only, "correct", "warn"],
    sql: [m.refusal_sql, "correct", "warn"],
    "statement-timeout": [m.refusal_statement_timeout, "correct", "warn"],
    "result-too-large": [m.refusal_result_too_large, "correct", "warn"],
    "database-unavailable": [m.refusal_database_unavailable, "health", "bad"],
    "worker-exception": [m.refusal_worker_exception, "log", "bad"],
    "worker-failed": [m.refusal_worker_failed, "restart-worker", "bad"],
    "mailbox-full": [m.refusal_mailbox_full, "workers", "bad"],
    "answer-timeout": [m.refusal_answer_timeout, "workers", "warn"],
    "workers-unavailable": [m.refusal_workers_unavailable, "reload", "bad"],
    "sign-in-failed": [m.refusal_sign_in_failed, "sign-in", "warn"],
    "cross-origin": [m.refusal_cross_origin, "reload", "bad"],
    internal: [m.refusal_internal, "health", "bad"],
    // What this page itself finds out.
    "not-delivered": [m.refusal_not_delivered, "correct", "bad"],
    unreachable: [m.refusal_unreachable, "reload", "bad"],
    "bad-answer": [m.refusal_bad_answer, "reload", "bad"],
    console: [m.refusal_console, "reload", "bad"],
  },
  // Why a proof of the transparency log is not believed.
  proof: {
    "bad-key": [m.why_proof_bad_key, "transparency-log", "bad"],
    "unknown-key": [m.why_proof_unknown_key, "transparency-log", "bad"],
    "bad-signature": [m.why_proof_bad_signature, "transparency-log", "bad"],
    "log-malformed": [m.why_proof_log_malformed, "transparency-log", "bad"],
    "log-incomplete": [m.why_proof_log_incomplete, "transparency-log", "bad"],
    "log-tampered": [m.why_proof_log_tampered, "transparency-log", "bad"],
    "log-shrunk": [m.why_proof_log_shrunk, "transparency-log", "bad"],
    "log-forked": [m.why_proof_log_forked, "transparency-log", "bad"],
    "log-too-large": [m.why_proof_log_too_large, "transparency-log", "warn"],
    "not-in-log": [m.why_proof_not_in_log, "transparency-log", "warn"],
  },
} satisfies Record<string, Record<string, Row>>;

export type Domain = keyof typeof TABLE;

/** States in which a thing runs as it should, or is done. */
export const FINE: Partial<Record<Domain, string[]>> = {
  service: ["healthy"],
  "trigger-health": ["healthy"],
  deployment: ["active"],
  rollout: ["promoted"],
  verdict: ["better"],
  job: ["done", "leased"],
  workflow: ["done", "running"],
  step: ["done"],
  worker: ["idle", "running"],
  "worker-health": ["healthy"],
  issue: ["resolved", "ignored"],
  alert: ["inactive", "resolved"],
  flag: ["ENABLED"],
};

/** Why a thing in a state is not running as it should; `undefined` if it is. */
export function why(
  domain: Domain,
  state: string | null | undefined,
  detail?: string | null,
  context?: Record<string, string>,
): Reason | undefined {
  if (state === null || state === undefined) return undefined;
  const row = (TABLE[domain] as Record<string, Row>)[state];
  if (row === undefined) {
    // The host's own codes also come from the admin API, for a version that cannot be loaded.
    return domain === "refusal" && state in TABLE.execution ? why("execution", state, detail, context) : undefined;
  }
  const [sentence, action, tone] = row;
  return {
    sentence: sentence(),
    action,
    tone,
    ...(detail ? { detail } : {}),
    ...(context === undefined ? {} : { context }),
  };
}
