import axios, { AxiosError } from "axios";

export default {
  async fetch(request) {
    const seen = {};
    const adapter = async (config) => {
      Object.assign(seen, { url: config.baseURL + config.url, header: config.headers.get("x-one") });
      if (config.url === "/fail") throw new AxiosError("no", "ERR_TEST", config);
      return { data: { got: config.data }, status: 200, statusText: "OK", headers: {}, config };
    };
    const client = axios.create({ baseURL: "https://example.org", headers: { "x-one": "1" }, adapter });
    client.interceptors.response.use((response) => ({ ...response, data: { wrapped: response.data } }));
    const answer = await client.post("/items", { a: 1 });
    const error = await client.get("/fail").catch((error) => [error.code, error.message, axios.isAxiosError(error)]);
    return Response.json({ data: answer.data, status: answer.status, url: seen.url, headers: seen.header, uri: client.getUri({ url: "/a", params: { q: [1, 2] } }), error });
  },
};
