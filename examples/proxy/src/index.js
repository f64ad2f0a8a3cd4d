// A proxy: requests are passed on to UPSTREAM, and its responses stream back, neither held in memory.
const HOP_BY_HOP = ["connection", "keep-alive", "transfer-encoding", "upgrade", "host"];

export default {
  async fetch(request, env) {
    const target = new URL(request.url);
    const upstream = new URL(env.upstream);
    target.protocol = upstream.protocol;
    target.host = upstream.host;
    const headers = new Headers(request.headers);
    for (const name of HOP_BY_HOP) headers.delete(name);
    const response = await fetch(target, {
      method: request.method,
      headers,
      body: request.body,
      duplex: "half",
      redirect: "manual",
    });
    const proxied = new Response(response.body, response);
    proxied.headers.set("via", "1.1 elias");
    return proxied;
  },
};
