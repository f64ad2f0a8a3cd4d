import Ajv from "ajv";
import addFormats from "ajv-formats";

const ajv = new Ajv({ allErrors: true });
addFormats(ajv);
const validate = ajv.compile({
  type: "object",
  properties: { name: { type: "string", minLength: 1 }, on: { type: "string", format: "date" } },
  required: ["name"],
  additionalProperties: false,
});

export default {
  async fetch(request) {
    return Response.json({ good: validate({ name: "Ada", on: "2020-02-29" }), bad: [validate({ name: 1, on: "x" }), validate.errors] });
  },
};
