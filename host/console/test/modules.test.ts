import { describe, expect, test } from "vitest";
import { clean, cut } from "../src/lib/clean";
import { LogBuffer, type Line } from "../src/lib/log-buffer";
import { match, path } from "../src/lib/router.svelte";
import { fieldsOf, valueOf, type JsonSchema } from "../src/lib/schema";
import { EventParser } from "../src/lib/sse";
import { wilson } from "../src/lib/statistics";

describe("texts of strangers", () => {
  test("lose their terminal escapes, also those that are cut short", () => {
    expect(clean("\u001b[31mred\u001b[0m")).toBe("red");
    expect(clean("a\u001b]0;title\u0007b\u001b]8;;http://evil\u001b\\c")).toBe("abc");
    expect(clean("\u009b2Jx")).toBe("x");
    expect(clean("end\u001b]52;c;never closed")).toBe("end");
    expect(clean("\u001bP1$r\u001b\\ok")).toBe("ok");
  });

  test("show what would turn or hide the text around them", () => {
    expect(clean("abc\u202etxt.exe")).toBe("abc\\u{202e}txt.exe");
    expect(clean("a\u0000b\u200bc")).toBe("a\\u{0}b\\u{200b}c");
    expect(clean("tab\there\nline\r\nend")).toBe("tab\there\nline\nend");
    expect(clean("<img src=x onerror=alert(1)>")).toBe("<img src=x onerror=alert(1)>");
  });

  test("of a million characters are cleaned in a breath", () => {
    const hostile = "\u001b[".repeat(500_000);
    expect(clean(hostile).length).toBeLessThanOrEqual(hostile.length * 8);
    expect(clean("\u001b]".repeat(200_000))).toBe("");
  });

  test("are never cut within a character", () => {
    expect(cut("ab\u{1f600}", 3)).toBe("ab");
    expect(cut("ab\u{1f600}", 4)).toBe("ab\u{1f600}");
    expect(cut("abc", 9)).toBe("abc");
  });
});

describe("addresses", () => {
  test("carry any name there and back", () => {
    for (const name of ["a.b", "a/b", "%2F", "<b>", "Ада", "a b?c#d"]) {
      const address = path("t", "default", "workers", name);
      expect(match("/t/:tenant/workers/:name", address)).toEqual({ tenant: "default", name });
    }
  });

  test("that are malformed are no page", () => {
    expect(match("/t/:tenant/jobs", "/t/%E0%A4%A/jobs")).toBeUndefined();
    expect(match("/t/:tenant/jobs", "/t//jobs")).toBeUndefined();
    expect(match("/t/:tenant/jobs", "/t/a/jobs/b")).toBeUndefined();
  });
});

describe("server-sent events", () => {
  test("are the same wherever the stream is cut", () => {
    const stream =
      ': hello\n\nid: 7\nevent: line\ndata: {"a":1}\ndata: more\r\n\r\nevent: lost\ndata: 3\n\nevent: none\n\n';
    const whole = [
      { event: "line", data: '{"a":1}\nmore', id: "7" },
      { event: "lost", data: "3", id: "7" },
    ];
    for (let size = 1; size < stream.length; size += 1) {
      const parser = new EventParser();
      const found = [];
      for (let at = 0; at < stream.length; at += size) found.push(...parser.push(stream.slice(at, at + size)));
      expect(found, `pieces of ${size}`).toEqual(whole);
    }
  });
});

describe("forms from a schema", () => {
  const schema: JsonSchema = {
    type: "object",
    required: ["name", "size", "ready"],
    properties: {
      name: { type: "string", title: "Name", minLength: 2 },
      size: { type: "integer", minimum: 1, maximum: 9 },
      color: { enum: ["red", 7, null] },
      ready: { type: "boolean" },
      tags: { type: "array", items: { type: "string" } },
      note: { type: ["string", "null"], maxLength: 1000 },
    },
  };

  test("have a field for each member, of its kind", () => {
    expect(fieldsOf(schema)?.map(({ name, kind, required }) => [name, kind, required])).toEqual([
      ["name", "text", true],
      ["size", "number", true],
      ["color", "choice", false],
      ["ready", "check", true],
      ["tags", "json", false],
      ["note", "area", false],
    ]);
    const size = fieldsOf(schema)?.[1];
    expect(
      [size?.check?.("0"), size?.check?.("1.5"), size?.check?.("10"), size?.check?.("9")].map(
        (found) => found === undefined,
      ),
    ).toEqual([false, false, false, true]);
  });

  test("give the value back, and leave out what was left empty", () => {
    expect(valueOf(schema, { name: "tea", size: "3", color: "7", ready: "", tags: '["a"]', note: "" })).toEqual({
      name: "tea",
      size: 3,
      color: 7,
      ready: false,
      tags: ["a"],
    });
  });

  test("are none for what a form cannot show", () => {
    expect(fieldsOf(undefined)).toBeUndefined();
    expect(fieldsOf({ type: "array" })).toBeUndefined();
    expect(fieldsOf({ type: "object", properties: {} })).toBeUndefined();
    const many = Object.fromEntries(Array.from({ length: 41 }, (_, index) => [`m${index}`, { type: "string" }]));
    expect(fieldsOf({ type: "object", properties: many })).toBeUndefined();
  });
});

test("intervals hold the share that they are about", () => {
  expect(wilson(0, 0)).toEqual({ estimate: 0, low: 0, high: 1 });
  for (const [failures, requests] of [
    [0, 10],
    [1, 10],
    [5, 10],
    [10, 10],
    [50, 1000],
  ] as const) {
    const { estimate, low, high } = wilson(failures, requests);
    expect(low).toBeLessThanOrEqual(estimate + 1e-12);
    expect(high).toBeGreaterThanOrEqual(estimate - 1e-12);
    expect(low >= 0 && high <= 1).toBe(true);
  }
  // Wilson's interval of 1 of 10, from tables.
  expect(wilson(1, 10).low).toBeCloseTo(0.0179, 4);
  expect(wilson(1, 10).high).toBeCloseTo(0.4042, 4);
});

describe("the lines of a log", () => {
  const line = (number: number, text: string, level = "INFO"): Line => ({
    number,
    at: 0,
    level,
    text,
    low: text.toLowerCase(),
    execution: "",
  });

  test("are filtered by words and level, those that come later too", () => {
    const buffer = new LogBuffer(100);
    buffer.add([line(1, "One order"), line(2, "two", "ERROR")]);
    buffer.filter("ORDER one", "INFO");
    buffer.add([line(3, "order ONE again", "WARN"), line(4, "order one", "DEBUG")]);
    expect(buffer.matching.map(({ number }) => number)).toEqual([1, 3]);
    buffer.filter("", "WARN");
    expect(buffer.matching.map(({ number }) => number)).toEqual([2, 3]);
    buffer.clear();
    expect([buffer.size, buffer.matching.length]).toEqual([0, 0]);
  });

  test("are bounded: the oldest go, from what is shown too", () => {
    const buffer = new LogBuffer(100);
    for (let number = 1; number <= 250; number += 1) buffer.add([line(number, "x")]);
    expect(buffer.size).toBeLessThanOrEqual(100);
    expect(buffer.matching).toHaveLength(buffer.size);
    expect(buffer.matching.at(-1)?.number).toBe(250);
  });

  test("a million of them are looked at whole", () => {
    const buffer = new LogBuffer(1_000_000);
    for (let part = 0; part < 100; part += 1) {
      buffer.add(
        Array.from({ length: 10_000 }, (_, index) =>
          line(part * 10_000 + index, `line ${part * 10_000 + index} of many`),
        ),
      );
    }
    buffer.filter("999999", "TRACE");
    expect(buffer.matching.map(({ number }) => number)).toEqual([999_999]);
  });
});
