import Mustache from "mustache";

export default {
  async fetch(request) {
    return new Response(Mustache.render("{{#items}}<{{name}}>{{^last}}, {{/last}}{{/items}} {{{raw}}}", { items: [{ name: "a&b" }, { name: "c", last: true }], raw: "<b>" }));
  },
};
