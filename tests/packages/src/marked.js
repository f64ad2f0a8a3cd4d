import { marked } from "marked";

export default {
  async fetch(request) {
    return new Response(marked.parse("# Title\n\nSome *text* with `code` & <b>html</b>\n\n- one\n- two\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"));
  },
};
