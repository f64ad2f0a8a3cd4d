import Joi from "joi";

const schema = Joi.object({ name: Joi.string().alphanum().min(3).required(), mail: Joi.string().email(), on: Joi.date().iso() });

export default {
  async fetch(request) {
    return Response.json({ good: schema.validate({ name: "ada", mail: "a@example.org", on: "2024-02-29" }).value, bad: schema.validate({ name: "a", mail: "x" }, { abortEarly: false }).error.details });
  },
};
