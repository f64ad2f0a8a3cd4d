// A file system in memory: a tree of folders and files, which outlives its host.
import { registry } from "elias/eiasw";

class NoEntry extends Error {
  name = "NoEntry";
}

/** The names on the way to a file or a folder. */
const namesOf = (path) => path.split("/").filter((name) => name !== "");

/** The entry at a path: a Map is a folder, a string a file. */
function find(root, path) {
  let at = root;
  for (const name of namesOf(path)) {
    at = at instanceof Map ? at.get(name) : undefined;
    if (at === undefined) throw new NoEntry(`${path}: no such file or folder`);
  }
  return at;
}

/** The folder that a path ends in, made where it is not there, and the last name. */
function place(root, path) {
  const names = namesOf(path);
  const last = names.pop();
  if (last === undefined) throw new TypeError("the root is a folder");
  let folder = root;
  for (const name of names) {
    if (!folder.has(name)) folder.set(name, new Map());
    folder = folder.get(name);
    if (!(folder instanceof Map)) throw new TypeError(`${path}: ${name} is a file`);
  }
  return [folder, last];
}

registry.register("files", {
  onStart: async (context) => {
    context.root ??= new Map([["readme.txt", "Everything is a service worker.\n"]]);
  },

  onMessage: async ({ operation, path, content }, { root }) => {
    switch (operation) {
      case "read": {
        const entry = find(root, path);
        return entry instanceof Map ? { folder: [...entry.keys()].sort() } : { content: entry };
      }
      case "write": {
        const [folder, name] = place(root, path);
        if (folder.get(name) instanceof Map) throw new TypeError(`${path} is a folder`);
        folder.set(name, content);
        return { written: content.length };
      }
      case "remove": {
        find(root, path);
        const [folder, name] = place(root, path);
        folder.delete(name);
        return { removed: path };
      }
      default:
        throw new TypeError(`there is no operation ${operation}`);
    }
  },
});

/** GET, PUT and DELETE of /files/PATH. */
export async function files(request, path) {
  const operation = { GET: "read", PUT: "write", DELETE: "remove" }[request.method];
  try {
    const content = operation === "write" ? await request.text() : undefined;
    return Response.json(await registry.send("files", { operation, path, content }));
  } catch ({ name, message }) {
    return Response.json({ error: message }, { status: name === "NoEntry" ? 404 : 400 });
  }
}
