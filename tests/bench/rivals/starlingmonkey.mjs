// Makes a component of a script that defines run(), with the engine of ComponentizeJS: starlingmonkey.mjs SCRIPT OUTPUT.
import { componentize } from "@bytecodealliance/componentize-js";
import { readFileSync, writeFileSync } from "node:fs";

const [script, output] = process.argv.slice(2);
const source = `${readFileSync(script, "utf8")}\nconst answer = () => run();\nexport { answer as run };\n`;
const { component } = await componentize(source, "package local:bench;\nworld bench { export run: func() -> f64; }\n", {
  worldName: "bench",
  disableFeatures: ["stdio", "random", "clocks", "http", "fetch-event"],
});
writeFileSync(output, component);
