import markdown from "markdown-it";

export default {
  async fetch(request) {
    return new Response(markdown({ linkify: true, typographer: true, html: false }).render("# Title\n\n\"Quoted\" https://example.org/ & <b>html</b>\n\n1. one\n2. two\n\n```js\nlet a;\n```\n"));
  },
};
