import { Liquid } from "liquidjs";

const engine = new Liquid({ timezoneOffset: 0 });

export default {
  async fetch(request) {
    return new Response(await engine.parseAndRender("{% for i in items %}{{ forloop.index }}:{{ i | upcase }} {% endfor %}{{ when | date: '%Y-%m-%d' }}", { items: ["a", "b"], when: "2024-02-29T00:00:00Z" }));
  },
};
