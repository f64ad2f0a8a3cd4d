import OpenAI from "openai";

export default {
  async fetch(request) {
    const calls = [];
    const fetch = async (url, init) => {
      const body = JSON.parse(init.body);
      calls.push([`${url}`, init.method, body.model, new Headers(init.headers).get("authorization")]);
      if (!body.stream) return Response.json({ choices: [{ message: { role: "assistant", content: "hello" } }] });
      const chunk = (text) => `data: ${JSON.stringify({ choices: [{ delta: { content: text } }] })}\n\n`;
      return new Response(`${chunk("he")}${chunk("llo")}data: [DONE]\n\n`, { headers: { "content-type": "text/event-stream" } });
    };
    const client = new OpenAI({ apiKey: "k", fetch, maxRetries: 0 });
    const messages = [{ role: "user", content: "hi" }];
    const completion = await client.chat.completions.create({ model: "gpt-x", messages });
    let streamed = "";
    for await (const part of await client.chat.completions.create({ model: "gpt-x", messages, stream: true })) streamed += part.choices[0].delta.content;
    return Response.json({ text: completion.choices[0].message.content, streamed, calls });
  },
};
