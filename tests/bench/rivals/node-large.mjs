// Answers with 100 MiB, as fast as it is read.
import { createServer } from "node:http";

const chunk = Buffer.alloc(1 << 16, "x");

const server = createServer((_, response) => {
  let left = 1600;
  const write = () => {
    while (left-- > 0) if (!response.write(chunk)) return response.once("drain", write);
    response.end();
  };
  write();
});
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
