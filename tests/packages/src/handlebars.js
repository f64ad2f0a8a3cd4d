import Handlebars from "handlebars";

Handlebars.registerHelper("loud", (text) => text.toUpperCase());
const template = Handlebars.compile("<h1>{{title}}</h1>{{#each items}}<li>{{@index}} {{loud name}}</li>{{else}}none{{/each}}");

export default {
  async fetch(request) {
    return new Response(template({ title: "a < b", items: [{ name: "x" }, { name: "y" }] }));
  },
};
