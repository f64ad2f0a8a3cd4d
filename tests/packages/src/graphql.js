import { buildSchema, graphql, parse, printSchema, validate } from "graphql";

const schema = buildSchema(`type Item { id: ID! } type Query { hello(name: String = "you"): String! list: [Item!]! }`);
const rootValue = { hello: ({ name }) => `hello ${name}`, list: async () => [{ id: 1 }, { id: "b" }] };

export default {
  async fetch(request) {
    return Response.json({
      good: await graphql({ schema, source: "{ hello(name: \"Ada\") list { id } }", rootValue }),
      bad: await graphql({ schema, source: "{ nothing }", rootValue }),
      printed: printSchema(schema),
      errors: validate(schema, parse("{ hello }")).length,
    });
  },
};
