/** Bundles the exported page and the runtime as one module into `dist/page`, and writes the kernels beside them. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { importSource } from './buildKernels.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = `${root}dist/page`;

await mkdir(target, { recursive: true });
const shared = {
  bundle: true,
  minify: true,
  charset: 'utf8',
  platform: 'browser',
  target: 'es2022',
  legalComments: 'none',
  logLevel: 'warning',
};
await build({
  ...shared,
  entryPoints: [`${root}src/page/main.ts`],
  format: 'iife',
  outfile: `${target}/page.js`,
});
await build({
  ...shared,
  entryPoints: [`${root}src/index.ts`],
  format: 'esm',
  outfile: `${target}/classifier.js`,
});
await build({ ...shared, entryPoints: [`${root}page/page.css`], outfile: `${target}/page.css` });
await copyFile(`${root}page/index.html`, `${target}/index.html`);

const { kernelBinaries } = await importSource('wasm/kernels.ts');
const { plain, relaxed } = kernelBinaries();
await writeFile(`${root}dist/kernels.wasm`, plain);
await writeFile(`${root}dist/kernels-relaxed.wasm`, relaxed);
