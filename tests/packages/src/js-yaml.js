import * as yaml from "js-yaml";

export default {
  async fetch(request) {
    const data = yaml.load("a: 1\nb:\n  - x\n  - {y: 2}\nc: &ref text\nd: *ref\ne: 2024-02-29\n");
    return Response.json({ data, text: yaml.dump(data) });
  },
};
