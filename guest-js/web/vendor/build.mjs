// Bundles every entry of this folder, NAME.js, into target/web/NAME.js, and writes down whose code that is.
//
// An entry is a file that ends with .js, in this folder or one below. What it imports is
// - a package of package.json: bundled in;
// - a file that ends with .mjs: bundled in;
// - a file that ends with .data.mjs: run here, and its default export bundled in as JSON;
// - any other relative path: left as it is. Seen from the output, which lives in the table of web modules as vendor/NAME.js,
//   "../url/url.js" is a web module and "./other.js" another entry's output;
// - elias:native and what Node.js has built in: left as it is. The engine finds a web module for `node:NAME`.
import { build } from "esbuild";
import { builtinModules } from "node:module";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { archive, madeFrom as madeFromForLocales } from "./intl/archive.mjs";

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, "../../..");
const out = join(root, "target/web");
const LICENSE_FILE = /^(licen[cs]e|copying|notice)/i;

function entries(folder = here) {
  return readdirSync(folder, { withFileTypes: true })
    .filter((entry) => entry.name !== "node_modules")
    .flatMap((entry) => (entry.isDirectory() ? entries(join(folder, entry.name)) : [join(folder, entry.name)]))
    .filter((file) => file.endsWith(".js"))
    .sort();
}

const ours = {
  name: "ours",
  setup(bundler) {
    const isOurs = (file) => file.startsWith(here) && !file.includes("node_modules");
    bundler.onResolve({ filter: /^elias:/ }, ({ path }) => ({ path, external: true }));
    bundler.onResolve({ filter: /^\.\.?\// }, ({ path, importer }) =>
      isOurs(importer) && !path.endsWith(".mjs") ? { path, external: true } : undefined,
    );
    bundler.onLoad({ filter: /\.data\.mjs$/ }, async ({ path }) => {
      if (!isOurs(path)) return undefined;
      const made = await import(pathToFileURL(path));
      return { contents: JSON.stringify(made.default), loader: "json" };
    });
  },
};

// Packages that stand for what is there: a module of Node.js, or globals.
const STAND_INS = { "safe-buffer": "buffer", "abort-controller": null };

// Packages that look for modules of Node.js in a `try`, and shall not find them.
const WITHOUT_NODE = ["@sinonjs/fake-timers"];

const builtins = {
  name: "builtins",
  setup(bundler) {
    bundler.onResolve({ filter: /^(?:node:)?[\w/-]+$/ }, ({ path, importer }) =>
      WITHOUT_NODE.some((name) => importer.includes(`/node_modules/${name}/`)) && builtinModules.includes(path.replace(/^node:/, ""))
        ? { path, namespace: "absent" }
        : undefined,
    );
    bundler.onLoad({ filter: /./, namespace: "absent" }, ({ path }) => ({ contents: `throw new Error("there is no ${path}");`, loader: "js" }));
    bundler.onResolve({ filter: /^(?:node:)?[\w-]+\/?$/ }, ({ path, kind }) => {
      const standIn = STAND_INS[path];
      if (standIn === null) return { path, namespace: "globals" };
      const name = (standIn ?? path).replace(/^node:|\/$/g, "");
      // An entry that says `buffer/` means the package; a package that requires it so means to have it without Node.js.
      if (!builtinModules.includes(name) || (kind !== "require-call" && path.endsWith("/"))) return undefined;
      return kind === "require-call" ? { path: name, namespace: "required" } : { path: `node:${name}`, external: true };
    });
    bundler.onLoad({ filter: /./, namespace: "globals" }, () => ({ contents: "module.exports = globalThis;" }));
    bundler.onLoad({ filter: /./, namespace: "required" }, ({ path }) => ({
      contents: `import builtin from "node:${path}"; module.exports = builtin;`,
    }));
  },
};

/** Has the bundler read matching files with these pieces replaced, by a text or a function; each must be there. */
function changed(bundler, filter, replacements) {
  bundler.onLoad({ filter }, ({ path }) => {
    let contents = readFileSync(path, "utf8");
    for (const [from, to] of replacements) {
      const result = contents.replace(from, typeof to === "function" ? to : () => to);
      if (result === contents) throw new Error(`${path} is other than before: there is no ${from}`);
      contents = result;
    }
    return { contents, loader: "js" };
  });
}

// Errors of Node.js are of the classes of JavaScript and have their `code` themselves; packages make a class for each
// code.
const nodeErrors = {
  name: "node-errors",
  setup(bundler) {
    changed(bundler, /readable-stream\/lib\/ours\/errors\.js$/, [
      [
        /function E\(code, message, Base\) \{[^]*?\n\}\n/,
        `function E(code, message, Base = Error) {
          codes[code] = function (...args) {
            const error = new Base(getMessage(code, message, args));
            error.code = code;
            return error;
          };
        }\n`,
      ],
      // It is made with one name alone, and came out as `undefinedThe "`.
      [
        /\(\.\.\.args\) => \{\s*assert\(args\.length > 0[^]*?must be specified`\s*\}/,
        '(name) => `The "${name}" argument must be specified`',
      ],
    ]);
    // Like Node.js since version 20, streams of bytes take every view, and say so.
    changed(bundler, /readable-stream\/lib\/internal\/streams\/(?:readable|writable)\.js$/, [
      ["Stream._isUint8Array(chunk)", "ArrayBuffer.isView(chunk)"],
      ["['string', 'Buffer', 'Uint8Array'], chunk", "['string', 'Buffer', 'TypedArray', 'DataView'], chunk"],
    ]);
    changed(bundler, /unenv\/dist\/runtime\/node\/internal\/(?:url\/errors|querystring\/querystring)\.mjs$/, [
      [/class ERR_\w+ extends (\w+) \{/g, (found, base) => `${found} static name = ${base}.name;`],
    ]);
  },
};

rmSync(out, { recursive: true, force: true });
const inputs = new Set();
for (const entry of entries()) {
  // One bundle an entry, so that one entry's needs never move code of another's.
  const { metafile } = await build({
    entryPoints: [entry],
    outfile: join(out, relative(here, entry)),
    bundle: true,
    format: "esm",
    target: "es2023",
    platform: "neutral",
    mainFields: ["module", "main"],
    conditions: ["module", "import", "default"],
    define: {
      "process.env.NODE_ENV": '"production"',
      "process.env.READABLE_STREAM": '""',
      global: "globalThis",
      console: "quiet",
      // A stand-in for an API must not find itself when it looks for a native one.
      "globalThis.TextDecoder": "undefined",
      "globalThis.TextEncoder": "undefined",
    },
    // A component that does not mention the console has none, and what packages warn of concerns their own authors.
    banner: { js: "const quiet={warn(){}};" },
    // Identifiers keep their names, since users see those of classes and functions.
    minifyWhitespace: true,
    minifySyntax: true,
    legalComments: "none",
    metafile: true,
    absWorkingDir: here,
    logLevel: "warning",
    plugins: [builtins, nodeErrors, ours],
  });
  for (const { inputs: files } of Object.values(metafile.outputs)) {
    for (const [file, { bytesInOutput }] of Object.entries(files)) if (bytesInOutput > 0) inputs.add(file);
  }
}

/** The folder of the package that `file` belongs to, or null for our own files. */
function packageOf(file) {
  const found = /^(?:.*\/)?node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file);
  return found === null ? null : found[0];
}

// A .data.mjs file says what it was made from: export const madeFrom = ["package", ...].
const folders = new Set();
for (const file of inputs) {
  const folder = packageOf(file);
  if (folder !== null) folders.add(folder);
  if (!file.endsWith(".data.mjs")) continue;
  const { madeFrom = [] } = await import(pathToFileURL(join(here, file)));
  for (const name of madeFrom) folders.add(`node_modules/${name}`);
}
for (const name of madeFromForLocales) folders.add(`node_modules/${name}`);
const packages = [...folders].map((folder) => {
  const { name, version, license } = JSON.parse(readFileSync(join(here, folder, "package.json"), "utf8"));
  const file = readdirSync(join(here, folder)).find((found) => LICENSE_FILE.test(found));
  const text = file === undefined ? `(the package has no licence file; its package.json says ${license})` : readFileSync(join(here, folder, file), "utf8").trim();
  return { name, version, license, text };
});
packages.sort((a, b) => (a.name < b.name ? -1 : 1));

mkdirSync(out, { recursive: true });
writeFileSync(join(out, "locales.bin"), await archive());
writeFileSync(
  join(out, "LICENSES"),
  packages.map(({ name, version, license, text }) => `${name} ${version} (${license})\n\n${text}\n`).join(`\n${"-".repeat(80)}\n\n`),
);
const note = [
  "# Third-party code in components",
  "",
  "A component that uses the APIs made of these npm packages carries their code. Written by `toolchain/setup/web.sh`,",
  "which puts the full texts of the licences into `target/web/LICENSES`.",
  "",
  "| package | version | licence |",
  "|---|---|---|",
  ...packages.map(({ name, version, license }) => `| ${name} | ${version} | ${license} |`),
  "",
].join("\n");
const noteFile = join(root, "docs/reference/third-party.md");
if (!existsSync(noteFile) || readFileSync(noteFile, "utf8") !== note) writeFileSync(noteFile, note);
