import { Chalk } from "chalk";

export default {
  async fetch(request) {
    const chalk = new Chalk({ level: 3 });
    return Response.json([chalk.red("a") + chalk.bold.underline("b"), chalk.hex("#abcdef")("c"), new Chalk({ level: 0 }).red("d")]);
  },
};
