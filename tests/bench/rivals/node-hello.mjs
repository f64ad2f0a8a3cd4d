// Node's own `http`, answering as examples/hello does in the load test.
import { createServer } from "node:http";

const server = createServer((_, response) => response.end("Hello, world!\n"));
server.listen(0, "127.0.0.1", () => console.log(`http://127.0.0.1:${server.address().port}`));
