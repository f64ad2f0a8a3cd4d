import buffer from "buffer/index.js";

export const { Buffer, INSPECT_MAX_BYTES, SlowBuffer, kMaxLength } = buffer;
