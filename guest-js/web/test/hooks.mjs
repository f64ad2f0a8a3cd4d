// Module hooks: `elias:native` is the fake, and every module of a world (?world=N) belongs to that world only. What is bundled from
// npm stands in target/web and is addressed as the engine does, as vendor/ beside the web modules.
const NATIVE = new URL("./native.mjs", import.meta.url).href;
const VENDORED = new URL("../src/vendor/", import.meta.url).href;
const BUNDLED = new URL("../../../target/web/", import.meta.url).href;

const moved = (url, from, to) => (url.startsWith(from) ? to + url.slice(from.length) : url);

export async function resolve(specifier, context, next) {
  const world = context.parentURL === undefined ? "" : new URL(context.parentURL).search;
  // As in the engine, what a module of a world wants of Node.js is a web module.
  if (specifier.startsWith("node:") && world.startsWith("?world=") && !context.parentURL.startsWith(NATIVE)) {
    return { url: `${new URL(`../src/node/${specifier.slice(5)}.js`, import.meta.url)}${world}`, shortCircuit: true };
  }
  if (specifier === "elias:native") return { url: NATIVE + world, shortCircuit: true };
  if (world.startsWith("?world=") || specifier.startsWith(VENDORED)) {
    const url = URL.canParse(specifier, context.parentURL) ? new URL(specifier, moved(context.parentURL, BUNDLED, VENDORED)) : null;
    if (url?.href.startsWith(VENDORED)) {
      url.search ||= world;
      return { url: moved(url.href, VENDORED, BUNDLED), format: "module", shortCircuit: true };
    }
    if (url !== null && specifier.startsWith(".")) specifier = url.href;
  }
  const resolved = await next(specifier, context);
  if (world.startsWith("?world=") && resolved.url.startsWith("file:") && !resolved.url.endsWith(world)) resolved.url += world;
  return resolved;
}
