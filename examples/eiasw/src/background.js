// A background processor: tasks are taken at once, and worked off one after the other by timers.
import { registry } from "elias/eiasw";

/** Milliseconds from one task to the next. */
const INTERVAL_MS = 20;

function workOff(context) {
  const task = context.waiting.shift();
  if (task !== undefined) context.done.push({ ...task, words: task.text.split(/\s+/).length });
  // A timer of a worker is durable: it is called by the next host if this one stops.
  context.isBusy = context.waiting.length > 0;
  if (context.isBusy) setTimeout(workOff, INTERVAL_MS, context);
}

registry.register("processor", {
  onStart: async (context) => {
    context.waiting ??= [];
    context.done ??= [];
  },
  onMessage: async ({ text }, context, { id }) => {
    if (text === undefined) return { waiting: context.waiting.length, done: context.done };
    context.waiting.push({ id, text });
    if (!context.isBusy) setTimeout(workOff, INTERVAL_MS, context);
    context.isBusy = true;
    return { id, waiting: context.waiting.length };
  },
  // A new version of the component has none of the timers.
  onUpgrade: async (_, context) => {
    if (context.isBusy) setTimeout(workOff, INTERVAL_MS, context);
  },
});

/** POST /tasks with a text, and GET /tasks. */
export async function tasks(request) {
  const text = request.method === "POST" ? await request.text() : undefined;
  return Response.json(await registry.send("processor", { text }));
}
