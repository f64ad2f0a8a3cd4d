// Compresses the files of a folder for a server that sends them as they are: FILE.br beside each FILE that gets smaller
// by it. What is newer than its file stays.
//
//     node toolchain/setup/precompress.mjs FOLDER

import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { brotliCompressSync, constants } from 'node:zlib';

/** Fonts and images are compressed as they are. */
const COMPRESSIBLE = /\.(?:css|html|ico|js|json|mjs|svg|ttf|txt|wasm|webmanifest)$/;
/** The least part of a file that compression has to save. */
const SAVING = 0.05;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('name a folder');

const files = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
for (const entry of files) {
  const path = join(entry.parentPath ?? entry.path, entry.name);
  if (!COMPRESSIBLE.test(path)) continue;
  const former = statSync(`${path}.br`, { throwIfNoEntry: false });
  if (former !== undefined && former.mtimeMs >= statSync(path).mtimeMs) continue;
  const bytes = readFileSync(path);
  const params = {
    [constants.BROTLI_PARAM_QUALITY]: constants.BROTLI_MAX_QUALITY,
    [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
  };
  const compressed = brotliCompressSync(bytes, { params });
  if (compressed.length < bytes.length * (1 - SAVING)) writeFileSync(`${path}.br`, compressed);
  else rmSync(`${path}.br`, { force: true });
}
