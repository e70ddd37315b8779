/**
 * Bundles into `dist/page` the page of every task, as one script, and the runtime for pages of other people, as a module that loads
 * what few need from the folder `classifier` beside it; and writes the kernels beside them.
 */
import { copyFile, mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';
import { rolldown } from 'rolldown';
import { importSource } from './buildKernels.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const target = `${root}dist/page`;

/** Each has a page, and a module of its name. */
const tasks = ['classifier', 'detector', 'segmenter'];

/** Modules that no page asks for: it has one thread and no other backend, and the browser decodes pictures. */
const unused = /\/(threads\/pool|onnxRuntime|sharpDecode)\.ts$/;
/** And those that only the page of two-stage detectors asks for. */
const unusedByOthers = /(\/(threads\/pool|onnxRuntime|sharpDecode|twoStage\/index)|^\.\/transposed)\.ts$/;
const without = (id) => ({
  name: 'without-unused',
  resolveId: { filter: { id }, handler: (own) => ({ id: `\0${own}` }) },
  load: { filter: { id: /^\0.*\.ts$/ }, handler: () => 'export {};' },
});

/** Names of the files written. */
async function bundle(name, entry, plugins, output) {
  const bundled = await rolldown({
    input: { [name]: `${root}src/${entry}.ts` },
    platform: 'browser',
    // What is loaded later imports from the module itself, so that nobody waits for a third file.
    preserveEntrySignatures: 'allow-extension',
    transform: { target: 'es2022' },
    checks: { importIsUndefined: false },
    plugins,
  });
  const { output: written } = await bundled.write({
    dir: target,
    minify: true,
    comments: false,
    entryFileNames: '[name].js',
    ...output,
  });
  await bundled.close();
  return written.map(({ fileName }) => fileName);
}

/** A page's script, in one piece. */
const page = (name, entry, id) =>
  bundle(name, entry, [without(id)], { format: 'iife', codeSplitting: false });

await mkdir(target, { recursive: true });
await page('two-stage-page', 'page/detectorPage', unused);
for (const task of tasks) {
  await page(`${task}-page`, `page/${task}Page`, unusedByOthers);
  const written = await bundle(task, `bundles/${task}`, [], {
    format: 'esm',
    chunkFileNames: `${task}/[name].js`,
  });
  for (const name of await readdir(`${target}/${task}`)) {
    if (!written.includes(`${task}/${name}`)) await rm(`${target}/${task}/${name}`);
  }
}
await build({
  bundle: true,
  minify: true,
  target: 'es2022',
  logLevel: 'warning',
  entryPoints: [`${root}page/page.css`],
  outfile: `${target}/page.css`,
});
await copyFile(`${root}page/index.html`, `${target}/index.html`);

const { kernelBinaries } = await importSource('wasm/kernels.ts');
const { plain, relaxed } = kernelBinaries();
await writeFile(`${root}dist/kernels.wasm`, plain);
await writeFile(`${root}dist/kernels-relaxed.wasm`, relaxed);
