import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import type { Schemas } from "../src/lib/client";
import { waterfall } from "../src/lib/waterfall";
import { byComponent, metric, SPANS, times, traffic } from "../src/pages/metrics";

// The client of the admin API takes the origin from the page when it is loaded.
vi.hoisted(() => vi.stubGlobal("location", { origin: "http://console.test" }));

type Execution = Schemas["ExecutionTrace"];

/** Spans as `[id, parent, start, length]`, in microseconds. */
function execution(component: string, spans: [string, string | null, number, number][]): Execution {
  return {
    tenant: "t",
    trace: "0".repeat(32),
    execution: component,
    component,
    environment: "production",
    version: 1,
    name: "GET /",
    started_us: spans[0]?.[2] ?? 0,
    duration_us: 0,
    failed: false,
    left_out: 0,
    spans: spans.map(([id, parent, started_us, duration_us]) => ({
      id,
      parent,
      name: id,
      kind: "internal",
      started_us,
      duration_us,
    })),
  };
}

const outline = (executions: Execution[]): string[] =>
  waterfall(executions).rows.map(({ span, depth, start }) => `${"  ".repeat(depth)}${span.id} ${start}`);

describe("a waterfall", () => {
  test("has each span below its cause, across executions, in the order of time", () => {
    const caller = execution("shop", [
      ["server", null, 1_000, 500],
      ["query", "run", 1_050, 20],
      ["run", "server", 1_010, 400],
      ["fetch", "run", 1_030, 300],
    ]);
    const called = execution("stock", [["server2", "fetch", 1_060, 200]]);
    expect(outline([called, caller])).toEqual([
      "server 0",
      "  run 10",
      "    fetch 30",
      "      server2 60",
      "    query 50",
    ]);
    expect(waterfall([called, caller])).toMatchObject({ total: 500, startedAt: 1 });
  });

  test("shows each span once, whatever ids and parents claim", () => {
    const lies = execution("liar", [
      ["a", "b", 10, 1],
      ["b", "a", 5, 1],
      ["self", "self", 7, 1],
      ["twice", null, 1, 1],
      ["twice", "a", 2, 1],
      ["orphan", "of somebody outside", 3, 1],
    ]);
    const lines = outline([lies]);
    expect(lines).toHaveLength(6);
    const ids = lines.map((line) => line.trim().split(" ")[0]).sort();
    expect(ids).toEqual(["a", "b", "orphan", "self", "twice", "twice"]);
    expect(lines[0]).toBe("twice 0");
  });

  test("of a deep chain does not end the stack", () => {
    const chain = Array.from({ length: 20_000 }, (_, index): [string, string | null, number, number] => [
      `s${index}`,
      index === 0 ? null : `s${index - 1}`,
      index,
      1,
    ]);
    expect(waterfall([execution("deep", chain)]).rows.at(-1)?.depth).toBe(19_999);
  });

  test("of nothing is empty", () => {
    expect(waterfall([])).toEqual({ rows: [], total: 0, startedAt: 0 });
  });
});

describe("metrics", () => {
  const { fetch } = globalThis;
  // Traffic is asked for once in a minute, which must not end within a test.
  beforeEach(() => vi.useFakeTimers({ toFake: ["Date"] }));
  afterEach(() => {
    vi.useRealTimers();
    vi.stubGlobal("fetch", fetch);
  });

  const series = (items: [string | null, (number | null)[]][]): Schemas["MetricSeries"] => ({
    metric: "requests",
    unit: "1",
    from: 60_000,
    step: 60_000,
    left_out: 0,
    items: items.map(([component, values]) => ({ component, environment: "production", values })),
  });

  test("of all environments and triggers of a component are one line", () => {
    const sums = byComponent([
      series([
        ["shop", [1, null, 3]],
        ["shop", [1, 1, 1]],
        [null, [9, 9, 9]],
      ]),
      series([["cart", [0, 2, 0]]]),
    ]);
    expect(Object.fromEntries(sums)).toEqual({ shop: [2, 1, 4], cart: [0, 2, 0] });
    expect(times(series([["shop", [1, 2]]]))).toEqual([60_000, 120_000]);
  });

  test.each(Object.entries(SPANS))("are asked for in whole steps within what is kept: %s", async (_, span) => {
    const asked: URL[] = [];
    vi.stubGlobal("fetch", (request: Request) => {
      asked.push(new URL(request.url));
      return Promise.resolve(Response.json(series([])));
    });
    const begun = Date.now();
    await metric("t", "requests", span, { component: "shop" });
    const from = Number(asked[0]?.searchParams.get("from"));
    expect(from % span.step).toBe(0);
    expect(from).toBeGreaterThanOrEqual(begun - span.length);
    expect(asked[0]?.searchParams.get("component")).toBe("shop");
    expect(span.length / span.step).toBeLessThanOrEqual(1_500);
  });

  test("that could not be read are asked for again", async () => {
    let asked = 0;
    vi.stubGlobal("fetch", () => {
      asked += 1;
      return Promise.resolve(
        asked === 1
          ? Response.json({ code: "forbidden", detail: "" }, { status: 403 })
          : Response.json(series([["shop", [1]]])),
      );
    });
    await expect(traffic("t")).rejects.toMatchObject({ code: "forbidden" });
    await expect(traffic("t")).resolves.toMatchObject({ leftOut: 0 });
    const before = asked;
    await traffic("t");
    expect(asked).toBe(before);
    vi.setSystemTime(Date.now() + 60_000);
    await traffic("t");
    expect(asked).toBeGreaterThan(before);
  });
});
