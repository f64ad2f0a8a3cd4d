// Module hooks: `elias:native` is the fake, and every module of a world (?world=N) belongs to that world only.
const NATIVE = new URL("./native.mjs", import.meta.url).href;

export async function resolve(specifier, context, next) {
  const world = context.parentURL === undefined ? "" : new URL(context.parentURL).search;
  if (specifier === "elias:native") return { url: NATIVE + world, shortCircuit: true };
  const resolved = await next(specifier, context);
  if (world.startsWith("?world=") && resolved.url.startsWith("file:")) resolved.url += world;
  return resolved;
}
