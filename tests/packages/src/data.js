import { formatInTimeZone, fromZonedTime } from "date-fns-tz";
import { diff, patch } from "jsondiffpatch";
import { JSONPath } from "jsonpath-plus";
import { customAlphabet, nanoid } from "nanoid/non-secure";
import { parse as parseToml, stringify as stringifyToml } from "smol-toml";
import isEmail from "validator/lib/isEmail.js";
import validator from "validator";
import YAML from "yaml";

export default {
  async fetch() {
    const [left, right] = [{ a: 1, list: [1, 2, 3], gone: true }, { a: 2, list: [1, 3, 4] }];
    const delta = diff(left, right);
    const document = YAML.parseDocument("# comment\na: &x [1, 2]\nb: *x\nc: |\n  text\n");
    document.set("d", new Date(0));
    return Response.json({
      zoned: formatInTimeZone(new Date(0), "America/New_York", "yyyy-MM-dd HH:mm:ss zzz"),
      instant: fromZonedTime("2024-07-01 12:00", "Europe/Berlin").toISOString(),
      delta, patched: patch(structuredClone(left), delta),
      path: JSONPath({ path: "$.list[?(@ > 1)]", json: left }),
      ids: [nanoid(7).length, customAlphabet("a", 3)()],
      toml: [parseToml("a = 1\n[b]\nc = [1.5, \"x\"]\n"), stringifyToml({ a: { b: [1, "x"] } })],
      valid: [isEmail("ada@example.org"), validator.isURL("x"), validator.isUUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8"), validator.escape("<a>")],
      yaml: [`${document}`, YAML.parse("a: [1, 0x10, ~, yes]"), YAML.stringify({ a: { b: ["x: y", 2, null] } })],
    });
  },
};
