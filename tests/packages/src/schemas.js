import { type } from "arktype";
import * as t from "io-ts";
import { PathReporter } from "io-ts/lib/PathReporter.js";
import { Type } from "@sinclair/typebox";
import { TypeCompiler } from "@sinclair/typebox/compiler";
import { Value } from "@sinclair/typebox/value";

const schema = Type.Object({ name: Type.String(), age: Type.Integer({ minimum: 0 }) });
const user = type({ name: "string", "age?": "number.integer > 0" });
const codec = t.type({ name: t.string, age: t.union([t.number, t.undefined]) });

export default {
  async fetch() {
    const values = [{ name: "ada", age: 7 }, { name: 1, age: -1 }, {}];
    const check = TypeCompiler.Compile(schema);
    return Response.json({
      typebox: values.map((value) => [check.Check(value), Value.Check(schema, value), [...Value.Errors(schema, value)].map((error) => error.path)]),
      arktype: values.map((value) => {
        const out = user(value);
        return out instanceof type.errors ? out.summary : out;
      }),
      ioTs: values.map((value) => PathReporter.report(codec.decode(value))),
    });
  },
};
