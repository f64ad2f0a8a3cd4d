import * as cheerio from "cheerio";

export default {
  async fetch(request) {
    const $ = cheerio.load('<h2 class="title">Hello</h2><a href="/x">x</a><a href="/y">y</a>');
    $("h2").addClass("welcome").append(" <i>there</i>");
    return Response.json({ text: $("h2.title").text(), links: $("a").map((_, a) => $(a).attr("href")).get(), html: $.html() });
  },
};
