// The words for states, and how they look.

import type { StateCell, Tone } from "../kit/types";
import { m } from "./texts";
import { why, type Domain } from "./why";

const STATES: Record<string, [label: () => string, tone: Tone]> = {
  healthy: [m.state_healthy, "good"],
  degraded: [m.state_degraded, "warn"],
  open: [m.state_open, "bad"],
  "half-open": [m.state_half_open, "warn"],
  stopped: [m.state_stopped, "off"],
  canary: [m.state_canary, "busy"],
  active: [m.state_active, "good"],
  superseded: [m.state_superseded, "off"],
  "rolled-back": [m.state_rolled_back, "bad"],
  waiting: [m.state_waiting, "wait"],
  ready: [m.state_ready, "wait"],
  leased: [m.state_running, "busy"],
  running: [m.state_running, "busy"],
  done: [m.state_done, "good"],
  dead: [m.state_dead, "bad"],
  cancelled: [m.state_cancelled, "off"],
  sleeping: [m.state_sleeping, "wait"],
  retrying: [m.state_retrying, "warn"],
  failed: [m.state_failed, "bad"],
  "timed-out": [m.state_timed_out, "warn"],
  asleep: [m.state_asleep, "off"],
  idle: [m.state_idle, "good"],
  unknown: [m.state_unknown, "off"],
  unhealthy: [m.state_unhealthy, "bad"],
  paused: [m.state_paused, "off"],
  promoted: [m.state_promoted, "good"],
  aborted: [m.state_aborted, "off"],
  completed: [m.state_completed, "good"],
  better: [m.state_better, "good"],
  worse: [m.state_worse, "bad"],
  unclear: [m.state_unclear, "wait"],
  run: [m.state_run, "good"],
  skipped: [m.state_skipped, "warn"],
  revoked: [m.state_revoked, "off"],
  expired: [m.state_expired, "warn"],
  disabled: [m.state_disabled, "warn"],
  deleted: [m.state_deleted, "off"],
  good: [m.state_good, "good"],
  attention: [m.state_attention, "bad"],
  late: [m.state_late, "warn"],
  enabled: [m.state_enabled, "good"],
  new: [m.state_new, "bad"],
  regressed: [m.state_regressed, "bad"],
  resolved: [m.state_resolved, "good"],
  ignored: [m.state_ignored, "off"],
  inactive: [m.state_inactive, "off"],
  pending: [m.state_pending, "warn"],
  firing: [m.state_firing, "bad"],
  recovering: [m.state_recovering, "wait"],
  info: [m.severity_info, "wait"],
  warning: [m.severity_warning, "warn"],
  critical: [m.severity_critical, "bad"],
  denied: [m.security_denied, "warn"],
  "egress-refused": [m.security_egress_refused, "bad"],
  "sign-in-failed": [m.security_sign_in_failed, "bad"],
  "limit-hit": [m.security_limit_hit, "warn"],
  ENABLED: [m.state_enabled, "good"],
  DISABLED: [m.state_disabled, "off"],
};

/** Whether a state has a word in the languages of the console. */
export const hasLabel = (state: string): boolean => state in STATES;

export const stateLabel = (state: string): string => STATES[state]?.[0]() ?? state;

/** A state as a cell, with the reason of a thing that is not running as it should. */
export function state(name: string, domain?: Domain, detail?: string | null): StateCell {
  const [label, tone] = STATES[name] ?? [() => name, "off" as const];
  return { kind: "state", text: label(), tone, why: domain === undefined ? undefined : why(domain, name, detail) };
}
