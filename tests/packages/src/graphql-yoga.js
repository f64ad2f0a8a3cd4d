import { createSchema, createYoga } from "graphql-yoga";

export const requests = ["/graphql?query=%7Bhello%7D", "/graphql?query=%7Bnothing%7D", "/graphql?query=%7B__typename%7D"];

const yoga = createYoga({
  schema: createSchema({
    typeDefs: "type Query { hello: String }",
    resolvers: { Query: { hello: () => "hello from yoga" } },
  }),
  logging: false,
  graphiql: false,
  landingPage: false,
});

export default { fetch: (request) => yoga.fetch(request) };
