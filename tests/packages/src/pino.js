import pino from "pino";

export default {
  async fetch(request) {
    const lines = [];
    const logger = pino({ timestamp: false, base: null, browser: { write: (line) => lines.push(line), asObject: true } }, { write: (line) => lines.push(JSON.parse(line)) });
    logger.info({ a: 1 }, "hello");
    logger.debug("not shown");
    logger.child({ id: 7 }).warn("careful");
    for (const line of lines) delete line.time;
    return Response.json(lines);
  },
};
