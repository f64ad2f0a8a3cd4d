import { NIL, parse, stringify, v4, v5, v7, validate, version } from "uuid";

export default {
  async fetch(request) {
    return Response.json({
      five: v5("hello", v5.DNS),
      four: [validate(v4()), version(v4()), version(v7())],
      bytes: [...parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")],
      text: stringify(parse("6ba7b810-9dad-11d1-80b4-00c04fd430c8")),
      NIL,
    });
  },
};
