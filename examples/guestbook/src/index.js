// A guestbook: entries in a database, the page in a cache, a line in the log for every guest.
import { cache } from "elias/cache";
import { db, sql } from "elias/db";
import { log } from "elias/log";

const escape = (text) => text.replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

async function render() {
  const entries = await db.query("select name, message from entries order by at desc limit 50");
  const items = entries.map(({ name, message }) => `<li><b>${escape(name)}</b>: ${escape(message)}</li>`);
  return `<!doctype html>
<title>Guestbook</title>
<form method="post"><input name="name" placeholder="Name"><input name="message" placeholder="Message"><button>Sign</button></form>
<ul>
${items.join("\n")}
</ul>
`;
}

export default {
  async fetch(request) {
    if (request.method === "POST") {
      const form = await request.formData();
      const [name, message] = [form.get("name")?.trim(), form.get("message")?.trim()];
      if (!name || !message) return new Response("a name and a message, please\n", { status: 400 });
      await db.query(sql`insert into entries values (${crypto.randomUUID()}, ${Date.now()}, ${name}, ${message})`);
      await cache.delete("page");
      log.info("somebody signed", { name });
      return Response.redirect(request.url, 303);
    }
    const page = await cache.remember("page", { ttl: 60 }, render);
    return new Response(page, { headers: { "content-type": "text/html;charset=UTF-8" } });
  },
};
