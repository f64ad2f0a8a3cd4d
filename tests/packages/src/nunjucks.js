import nunjucks from "nunjucks";

const environment = new nunjucks.Environment(null, { autoescape: true });

export default {
  async fetch(request) {
    return new Response(environment.renderString("{% for i in items %}{{ loop.index }}:{{ i | upper }} {% endfor %}{{ html }}{{ html | safe }}", { items: ["a", "b"], html: "<b>" }));
  },
};
