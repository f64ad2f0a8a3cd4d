// Shows how the modules of each crate depend on each other, and fails if some depend on each other in a circle.
//
//     node toolchain/setup/layers.mjs [--list] [CRATE FOLDER...]
//
// A module here is a file or a folder directly under `src`; what its tests use does not count. Between crates cargo sees to it.

import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, relative } from 'node:path';

const WORKSPACE = /^members = \[([^\]]*)\]/m;

/** The folders of the workspace's crates. */
function crates() {
  const [, members] = WORKSPACE.exec(readFileSync('Cargo.toml', 'utf8'));
  return [...members.matchAll(/"([^"]+)"/g)].map(([, folder]) => folder);
}

function* rustFiles(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) yield* rustFiles(path);
    else if (entry.name.endsWith('.rs')) yield path;
  }
}

/** The source without comments and without the tests at its end. */
function code(path) {
  const text = readFileSync(path, 'utf8').split(/#\[cfg\(test\)\]\s*mod \w+ \{/)[0];
  return text.replace(/\/\/.*$/gm, '');
}

/** The parts of a list in braces, not split within inner braces. */
function parts(list) {
  const found = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at <= list.length; at += 1) {
    const letter = list[at];
    if (letter === '{') depth += 1;
    else if (letter === '}') depth -= 1;
    else if ((letter === ',' && depth === 0) || at === list.length) {
      found.push(list.slice(from, at).trim());
      from = at + 1;
    }
  }
  return found.filter((part) => part !== '');
}

/** The modules of the same crate that a source names. */
function named(text, isTopLevel) {
  const found = new Set();
  for (const [, name] of text.matchAll(/\bcrate::(\w+)/g)) found.add(name);
  for (const [, list] of text.matchAll(/\buse crate::\{([\s\S]*?)\};/g)) {
    for (const part of parts(list)) found.add(/^\w+/.exec(part)[0]);
  }
  if (isTopLevel) for (const [, name] of text.matchAll(/\bsuper::(\w+)/g)) found.add(name);
  return found;
}

/** Which modules each module of a crate names: a map from name to names. */
function modules(crate) {
  const source = join(crate, 'src');
  const edges = new Map();
  const add = (module) => edges.get(module) ?? edges.set(module, new Set()).get(module);
  for (const path of rustFiles(source)) {
    const inside = relative(source, path).split('/');
    const isTest = inside.includes('tests') || /(^|_)tests\.rs$/.test(inside.at(-1));
    const module = inside[0].replace(/\.rs$/, '');
    if (isTest || module === 'lib' || module === 'main') continue;
    const targets = add(module);
    for (const name of named(code(path), inside.length === 1)) if (name !== module) targets.add(name);
  }
  for (const targets of edges.values()) for (const name of targets) if (!edges.has(name)) targets.delete(name);
  return edges;
}

/** The circles among modules: strongly connected components by Tarjan's algorithm (1972). */
function circles(edges) {
  const index = new Map();
  const low = new Map();
  const stack = [];
  const found = [];
  const visit = (module) => {
    index.set(module, index.size);
    low.set(module, index.get(module));
    stack.push(module);
    for (const next of edges.get(module)) {
      if (!index.has(next)) visit(next);
      if (stack.includes(next)) low.set(module, Math.min(low.get(module), low.get(next)));
    }
    if (low.get(module) !== index.get(module)) return;
    const circle = stack.splice(stack.indexOf(module));
    if (circle.length > 1) found.push(circle.sort());
  };
  for (const module of edges.keys()) if (!index.has(module)) visit(module);
  return found;
}

const given = process.argv.slice(2);
const list = given.includes('--list');
const folders = given.filter((argument) => argument !== '--list');
let failed = false;
for (const crate of folders.length > 0 ? folders : crates()) {
  if (!statSync(join(crate, 'src'), { throwIfNoEntry: false })) continue;
  const edges = modules(crate);
  if (list) {
    console.log(crate);
    for (const [module, targets] of [...edges].sort()) console.log(`  ${module} -> ${[...targets].sort().join(' ')}`);
  }
  for (const circle of circles(edges)) {
    failed = true;
    console.error(`${crate}: ${circle.join(', ')} depend on each other in a circle; move what they share below both`);
  }
}
process.exit(failed ? 1 : 0);
