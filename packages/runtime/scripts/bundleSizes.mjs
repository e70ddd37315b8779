/** Prints the sizes of what `buildPage.mjs` made, as they are and compressed. `node packages/runtime/scripts/bundleSizes.mjs` */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, gzipSync } from 'node:zlib';

const built = fileURLToPath(new URL('../dist/page/', import.meta.url));
const bundles =
  /^(index\.html|page\.css|two-stage-page\.js|(classifier|detector|segmenter)(-page\.js|\.js|\/.*\.js))$/;

const names = (await readdir(built, { recursive: true })).filter((name) => bundles.test(name)).sort();
for (const name of names) {
  const content = await readFile(join(built, name));
  const sizes = [content.length, gzipSync(content, { level: 9 }).length, brotliCompressSync(content).length];
  console.log(`${name.padEnd(28)}${sizes.map((size) => String(size).padStart(8)).join('')}`);
}
