// Clients of language models, against a fetch of their own.
import Anthropic from "@anthropic-ai/sdk";
import { generateText, streamText, tool } from "ai";
import { z } from "zod";

const events = [
  { type: "message_start", message: { id: "m", type: "message", role: "assistant", model: "claude", content: [], stop_reason: null, usage: { input_tokens: 1, output_tokens: 1 } } },
  { type: "content_block_start", index: 0, content_block: { type: "text", text: "" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "Hel" } },
  { type: "content_block_delta", index: 0, delta: { type: "text_delta", text: "lo" } },
  { type: "content_block_stop", index: 0 },
  { type: "message_delta", delta: { stop_reason: "end_turn", stop_sequence: null }, usage: { output_tokens: 2 } },
  { type: "message_stop" },
];

export default {
  async fetch() {
    let asked;
    const client = new Anthropic({
      apiKey: "key",
      dangerouslyAllowBrowser: true,
      async fetch(url, init) {
        asked = [`${url}`, init.method, new Headers(init.headers).get("x-api-key"), JSON.parse(init.body).messages];
        if (JSON.parse(init.body).stream) {
          return new Response(events.map((event) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`).join(""), { headers: { "content-type": "text/event-stream" } });
        }
        return Response.json({ type: "error", error: { type: "invalid_request_error", message: "no" } }, { status: 400 });
      },
    });
    const message = { model: "claude", max_tokens: 10, messages: [{ role: "user", content: "Hi" }] };
    const stream = client.messages.stream(message);
    const text = [];
    stream.on("text", (part) => text.push(part));
    const final = await stream.finalMessage();
    const failure = await client.messages.create(message).catch((error) => [error.constructor.name, error.status, error.message]);
    return Response.json({ asked, text, final: final.content, failure, tool: typeof tool({ inputSchema: z.object({}) }), ai: [typeof generateText, typeof streamText] });
  },
};
