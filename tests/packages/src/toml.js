import dotenv from "dotenv";
import ini from "ini";
import toml from "toml";

export default {
  async fetch(request) {
    return Response.json({ toml: toml.parse("a = 1\n[b]\nc = [\"x\", \"y\"]\nd = 2024-02-29T00:00:00Z\n"), ini: ini.parse("a=1\n[b]\nc=x\n"), env: dotenv.parse("A=1\nB=\"x y\" # c\n") });
  },
};
