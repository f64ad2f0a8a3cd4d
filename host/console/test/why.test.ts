import { readFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import * as schema from "../src/api/schema";
import { hasLabel } from "../src/lib/states";
import { LOCALES, useLocale } from "../src/lib/texts";
import { FINE, TABLE, actionHref, actionLabel, actionNames, why, type Domain } from "../src/lib/why";

const repository = join(import.meta.dirname, "../../..");
const source = (path: string): string => readFileSync(join(repository, path), "utf8");
/** The codes of an enumeration that `error_codes!` declares. */
const codes = (path: string): string[] =>
  [...source(path).matchAll(/^\s+\w+ = "([a-z0-9-]+)", \d{3}/gm)].map((found) => found[1] ?? "");

const domains = Object.keys(TABLE) as Domain[];
const rows = domains.flatMap((domain) => Object.keys(TABLE[domain]).map((state) => [domain, state] as const));

afterEach(() => useLocale("en"));

const ENUMERATIONS: [Domain, readonly string[]][] = [
  ["service", schema.healthValues],
  ["trigger-health", schema.healthValues],
  ["deployment", schema.deploymentStateValues],
  [
    "rollout",
    [
      ...schema.rolloutStateOneOf0StateValues,
      ...schema.rolloutStateOneOf1StateValues,
      ...schema.rolloutStateOneOf2StateValues,
      ...schema.rolloutStateOneOf3StateValues,
      ...schema.rolloutStateOneOf4StateValues,
    ],
  ],
  ["verdict", schema.verdictValues],
  ["job", schema.jobStateValues],
  ["workflow", schema.workflowStateValues],
  ["step", schema.stepStateValues],
  ["worker", schema.workerConditionValues],
  ["worker-health", schema.workerHealthValues],
  ["quota", schema.quotaActionValues],
  ["package", schema.severityValues],
  ["issue", schema.issueStateValues],
  ["alert", schema.alertStateValues],
  ["security", schema.securityKindValues],
  ["flag", schema.flagStateValues],
];

test.each(ENUMERATIONS)("each state of %s has a sentence, or is as it should be", (domain, states) => {
  for (const state of states) {
    const fine = FINE[domain]?.includes(state) ?? false;
    expect(why(domain, state) !== undefined, `${domain} ${state}`).toBe(!fine);
    expect(domain === "quota" || domain === "package" || hasLabel(state), `the word for ${state}`).toBe(true);
  }
});

// Enumerations of states that the console does not know of yet are noticed here: a further one gets a domain, or is
// named as one that says nothing of what runs.
test("no enumeration of states in the OpenAPI document is forgotten", () => {
  const known = [
    "environment",
    "flagState",
    "jobTrigger",
    "role",
    "rolloutAction",
    "severity",
    "quotaAction",
    "stickyOneOf0",
    "stickyOneOf3",
    // What is measured, told of or asked for, not how something stands.
    "alertCondition",
    "alertMetricName",
    "alertSeverity",
    "auditFormat",
    "groupLabel",
    "metricName",
    "metricScope",
    "noData",
  ];
  const asked = new Set(ENUMERATIONS.flatMap(([, states]) => states.map(String)));
  for (const [name, values] of Object.entries(schema)) {
    const enumeration = name.replace(/Values$/, "");
    // A kind says what something is, not how it stands; those of security events are asked for above.
    if (known.includes(enumeration) || enumeration.endsWith("Kind") || enumeration === "tickOutcome") continue;
    for (const value of values as readonly string[]) expect(asked.has(value), `${name}: ${value}`).toBe(true);
  }
});

test("each code of the admin API has a sentence", () => {
  const found = codes("host/api/src/error.rs");
  expect(found.length).toBeGreaterThan(40);
  for (const code of found) expect(code in TABLE.refusal, code).toBe(true);
});

test("each code of the host has a sentence, also as a refusal", () => {
  const found = codes("wit/src/error_code.rs");
  expect(found.length).toBeGreaterThan(25);
  for (const code of found) {
    expect(code in TABLE.execution, code).toBe(true);
    expect(why("refusal", code), code).toBeDefined();
  }
});

test("each code of runs of triggers has a sentence", () => {
  const page = source("docs/reference/errors.md");
  const part = page.slice(page.indexOf("## Of triggers"), page.indexOf("## On the command line"));
  const found = [...part.matchAll(/^\| (`[^|]+)\|/gm)].flatMap((row) =>
    [...(row[1] ?? "").matchAll(/`([a-z-]+)`/g)].map((code) => code[1] ?? ""),
  );
  expect(found.length).toBeGreaterThan(5);
  for (const code of found) expect(code in TABLE.execution, code).toBe(true);
});

test("each reason for which a tick is skipped has a sentence", () => {
  const machine = source("host/triggers/src/schedule/machine.rs");
  const body = machine.slice(machine.indexOf("impl SkipReason"));
  const found = [...body.slice(0, body.indexOf("\n}\n")).matchAll(/=> "([a-z-]+)"/g)].map((reason) => reason[1] ?? "");
  expect(found.sort()).toEqual(Object.keys(TABLE["skipped-tick"]).sort());
});

describe.each(LOCALES)("in %s", (locale) => {
  test("no two states share a sentence", async () => {
    await useLocale(locale);
    const seen = new Map<string, string>();
    for (const [domain, state] of rows) {
      const sentence = why(domain, state)?.sentence ?? "";
      expect(sentence.trim(), `${domain} ${state}`).not.toBe("");
      expect(sentence, `${domain} ${state} is a whole sentence`).toMatch(/[.!?]$/);
      expect(seen.get(sentence), `${domain} ${state}: ${sentence}`).toBeUndefined();
      seen.set(sentence, `${domain} ${state}`);
    }
  });

  test("each action has a label of its own", async () => {
    await useLocale(locale);
    const labels = actionNames.map((name) => actionLabel(name));
    expect(new Set(labels).size).toBe(labels.length);
  });
});

test("each action leads somewhere, or is the page's own", () => {
  const context = { tenant: "t", component: "c", environment: "production", waits: "j" };
  const own = ["reload", "correct"];
  for (const name of actionNames) expect(actionHref(name, context) !== undefined, name).toBe(!own.includes(name));
});

test("what is as it should be, and what nobody has heard of, has no reason", () => {
  expect(why("service", "healthy")).toBeUndefined();
  expect(why("service", "of-a-newer-host")).toBeUndefined();
  expect(why("job", undefined)).toBeUndefined();
});

test("the platform's own words come along", async () => {
  await useLocale("en");
  expect(why("service", "open", "12 of 20 failed", { component: "shop" })).toMatchObject({
    detail: "12 of 20 failed",
    action: "failures",
    context: { component: "shop" },
  });
});
