import { Resend } from "resend";

export default {
  async fetch() {
    const asked = [];
    const real = globalThis.fetch;
    globalThis.fetch = async (url, init) => {
      asked.push([`${url}`, init.method, new Headers(init.headers).get("authorization"), JSON.parse(init.body)]);
      return Response.json({ id: "1" });
    };
    const sent = await new Resend("re_key").emails.send({ from: "a@example.org", to: "b@example.org", subject: "s", html: "<p>x</p>" });
    globalThis.fetch = real;
    return Response.json({ asked, data: sent.data, error: sent.error });
  },
};
