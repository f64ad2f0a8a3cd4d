import { Writable } from "node:stream";
import winston from "winston";

export default {
  async fetch(request) {
    const lines = [];
    const stream = new Writable({
      write(chunk, encoding, callback) {
        lines.push(chunk.toString());
        callback();
      },
    });
    const logger = winston.createLogger({ level: "info", format: winston.format.json(), transports: [new winston.transports.Stream({ stream })] });
    logger.info("hello", { a: 1 });
    logger.debug("not shown");
    logger.child({ id: 7 }).warn("careful");
    await new Promise((resolve) => {
      stream.on("finish", resolve);
      logger.on("finish", () => stream.end());
      logger.end();
    });
    return Response.json(lines);
  },
};
