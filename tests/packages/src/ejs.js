import ejs from "ejs";

export default {
  async fetch(request) {
    return new Response(ejs.render("<h1><%= title %></h1><% for (const item of items) { %><li><%- item %></li><% } %>", { title: "a < b", items: ["x", "<i>y</i>"] }));
  },
};
