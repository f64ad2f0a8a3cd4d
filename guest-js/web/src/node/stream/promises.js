// node:stream/promises. https://nodejs.org/api/stream.html#streams-promises-api
import stream from "../../vendor/node/readable-stream.js";

export const { finished, pipeline } = stream.promises;
export default { finished, pipeline };
