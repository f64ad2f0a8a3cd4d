import { createClient } from "@supabase/supabase-js";

export default {
  async fetch(request) {
    const calls = [];
    const fetch = async (input, init) => {
      calls.push([`${input}`, init?.method ?? "GET", new Headers(init?.headers).get("apikey")]);
      return Response.json([{ id: 1, name: "Ada" }]);
    };
    const client = createClient("https://example.org", "key", { global: { fetch }, auth: { persistSession: false, autoRefreshToken: false, detectSessionInUrl: false }, realtime: { transport: class {} } });
    const { data, error } = await client.from("users").select("id, name").eq("name", "Ada").order("id").limit(3);
    return Response.json({ data, error, calls });
  },
};
