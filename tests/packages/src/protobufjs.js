import protobuf from "protobufjs";

export default {
  async fetch(request) {
    const { root } = protobuf.parse("syntax = \"proto3\"; message Person { string name = 1; int32 id = 2; repeated string tags = 3; }");
    const Person = root.lookupType("Person");
    const bytes = Person.encode(Person.create({ name: "Ada", id: 7, tags: ["a"] })).finish();
    return Response.json({ bytes: [...bytes], back: Person.toObject(Person.decode(bytes)), error: Person.verify({ id: "x" }) });
  },
};
