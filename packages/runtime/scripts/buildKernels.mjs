/**
 * Compiles `kernels/` to WebAssembly: those of networks into `src/wasm/binaries.ts`, of which `src/wasm/variants.ts` makes those for
 * every engine and those with relaxed SIMD, and the resize into `src/preprocess/resizeBinary.ts`. `node scripts/buildKernels.mjs`
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { build } from 'esbuild';
import { tileSource } from '../kernels/tiles.mjs';

const kernels = fileURLToPath(new URL('../kernels/', import.meta.url));
const source = fileURLToPath(new URL('../src/', import.meta.url));

async function compile(entry) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      entry,
      '--outFile',
      'kernels.wasm',
      '--optimizeLevel',
      '3',
      '--shrinkLevel',
      '1',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd',
    ],
    {
      readFile: async (name) =>
        name === 'tiles.ts'
          ? tileSource()
          : readFile(join(kernels, basename(name)), 'utf8').catch(() => null),
      writeFile: (name, content) => {
        if (name.endsWith('.wasm')) binary = content;
      },
      listFiles: () => [],
    },
  );
  if (error || !binary) throw new Error(`The kernels did not compile.\n${stderr.toString()}`);
  return Buffer.from(binary);
}

/** A module of `src` as it would be imported from a build. */
export async function importSource(path) {
  const { outputFiles } = await build({
    entryPoints: [join(source, path)],
    bundle: true,
    format: 'esm',
    write: false,
  });
  const text = Buffer.from(outputFiles[0].contents).toString('base64');
  return import(`data:text/javascript;base64,${text}`);
}

const literal = (text) => `'${text.replaceAll('\\', '\\\\').replaceAll("'", "\\'")}'`;

/** The texts of `src/wasm/binaries.ts` and `src/preprocess/resizeBinary.ts`. */
export async function kernelSources() {
  const { encodePrintable } = await importSource('wasm/printable.ts');
  const binaries = `/** The kernels, compiled from \`kernels/\` by \`npm run build:kernels\`; a test compares them with their source. See \`printable.ts\`. */
export const kernelTemplate =
  ${literal(encodePrintable(await compile('index.ts')))};
`;
  const resize = `/** The kernels of the resize, compiled from \`kernels/resize.ts\` by \`npm run build:kernels\`; a test compares them with their source. */
export const resizeKernels =
  ${literal(encodePrintable(await compile('resize.ts')))};
`;
  return { 'wasm/binaries.ts': binaries, 'preprocess/resizeBinary.ts': resize };
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of Object.entries(await kernelSources())) {
    await writeFile(join(source, path), text);
    console.log(`${path}: ${Buffer.byteLength(text)} bytes`);
  }
}
