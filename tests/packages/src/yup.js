import * as yup from "yup";

const schema = yup.object({ name: yup.string().required(), age: yup.number().positive().integer() });

export default {
  async fetch(request) {
    return Response.json({ good: await schema.validate({ name: "x", age: "3" }), bad: await schema.validate({ age: -1 }, { abortEarly: false }).catch((error) => [error.name, error.errors]) });
  },
};
