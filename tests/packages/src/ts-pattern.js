import { match, P } from "ts-pattern";

const show = (result) =>
  match(result)
    .with({ type: "error" }, () => "error")
    .with({ type: "ok", data: { kind: "text", content: P.select() } }, (content) => `text ${content}`)
    .with({ type: "ok", data: { items: P.array(P.number) } }, ({ data }) => `list ${data.items.length}`)
    .exhaustive();

export default {
  async fetch(request) {
    return Response.json([show({ type: "ok", data: { kind: "text", content: "x" } }), show({ type: "ok", data: { kind: "list", items: [1, 2] } }), show({ type: "error" })]);
  },
};
