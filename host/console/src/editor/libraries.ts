// What TypeScript knows beside a project's own files: the types of the SDK, and that the packages exist which its
// package.json names. Their own types are not here: what comes from them is `any`.

const sdk: Record<string, string> = import.meta.glob("../../../../guest-js/sdk/**/*.d.ts", {
  query: "?raw",
  import: "default",
  eager: true,
});

/** The folder of the files of a project, as addresses of models. */
export const PROJECT = "file:///project/";
const MODULES = `${PROJECT}node_modules/elias/`;

/** The modules of the SDK as TypeScript finds them: by the names that its package.json exports. */
export const PATHS: Record<string, string[]> = {
  elias: [`${MODULES}index.d.ts`],
  "elias/files": [`${MODULES}files.d.ts`],
  "elias/client": [`${MODULES}client/client.d.ts`],
  "elias/clients": [`${MODULES}client/clients.d.ts`],
  "elias/clone": [`${MODULES}client/clone.d.ts`],
  "elias/drizzle": [`${MODULES}adapters/drizzle.d.ts`],
  "elias/kysely": [`${MODULES}adapters/kysely.d.ts`],
  "elias/*": [`${MODULES}modules/*.d.ts`],
};

/** The names of the packages in the text of a package.json; none while it cannot be read. */
export function packagesOf(text: string | undefined): string[] {
  try {
    const { dependencies, devDependencies } = JSON.parse(text ?? "") as Record<string, Record<string, unknown>>;
    return [...Object.keys(dependencies ?? {}), ...Object.keys(devDependencies ?? {})].filter(
      (name) => name !== "elias" && /^[@\w][\w./-]*$/.test(name),
    );
  } catch {
    return [];
  }
}

/** The declarations of packages whose types are not here, and of the modules of Node.js. */
export const ambient = (packages: string[]): string =>
  [...packages.flatMap((name) => [name, `${name}/*`]), "node:*"]
    .map((name) => `declare module ${JSON.stringify(name)};\n`)
    .join("");

/** All libraries of a project, by their addresses. */
export function libraries(packageJson: string | undefined): { content: string; filePath: string }[] {
  return [
    ...Object.entries(sdk).map(([path, content]) => ({ content, filePath: MODULES + path.split("/sdk/")[1] })),
    { content: ambient(packagesOf(packageJson)), filePath: `${PROJECT}node_modules/packages.d.ts` },
  ];
}
