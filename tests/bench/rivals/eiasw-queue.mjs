// Workers after the EIASW architecture in one Node process, in memory alone: each has a queue of messages that it drains
// one after another, with a UUID for each, and events for what happens. Prints how many messages were answered a second.
import { randomUUID } from "node:crypto";
import { EventEmitter } from "node:events";

const SECONDS = 5;
const IN_FLIGHT = 8;

class ServiceWorker extends EventEmitter {
  queue = [];
  isProcessing = false;
  context = { count: 0 };

  constructor(name, handler) {
    super();
    this.name = name;
    this.handler = handler;
  }

  send(message) {
    return new Promise((resolve, reject) => {
      this.queue.push({ id: randomUUID(), message, resolve, reject });
      if (!this.isProcessing) this.drain();
    });
  }

  async drain() {
    this.isProcessing = true;
    for (let entry = this.queue.shift(); entry !== undefined; entry = this.queue.shift()) {
      try {
        const answer = await this.handler(entry.message, this.context);
        this.emit("message", entry.id);
        entry.resolve(answer);
      } catch (error) {
        entry.reject(error);
      }
    }
    this.isProcessing = false;
  }
}

const handler = async (n, context) => (context.count += n);
const workers = Array.from({ length: Number(process.argv[2]) }, (_, at) => new ServiceWorker(`w${at}`, handler));

async function client(worker, until) {
  let sent = 0;
  while (performance.now() < until) {
    await worker.send(1);
    sent += 1;
    // The clock is looked at by all of them: others have their turn in between.
    if (sent % 64 === 0) await new Promise(setImmediate);
  }
  return sent;
}

const began = performance.now();
const until = began + SECONDS * 1000;
const clients = workers.flatMap((worker) => Array.from({ length: IN_FLIGHT }, () => client(worker, until)));
const sent = (await Promise.all(clients)).reduce((sum, count) => sum + count, 0);
console.log(Math.round(sent / ((performance.now() - began) / 1000)));
