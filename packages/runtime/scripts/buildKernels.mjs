/**
 * Compiles `kernels/` to WebAssembly, once for every engine and once with relaxed SIMD, and writes both into
 * `src/wasm/binaries.ts`. `node scripts/buildKernels.mjs`
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import asc from 'assemblyscript/asc';
import { tileSource } from '../kernels/tiles.mjs';

const kernels = fileURLToPath(new URL('../kernels/', import.meta.url));
const target = fileURLToPath(new URL('../src/wasm/binaries.ts', import.meta.url));

async function compile(...options) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      'index.ts',
      '--outFile',
      'kernels.wasm',
      '--optimizeLevel',
      '3',
      '--shrinkLevel',
      '0',
      '--noAssert',
      '--runtime',
      'stub',
      '--enable',
      'simd',
      ...options,
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

/** The text of `src/wasm/binaries.ts`. */
export async function binariesSource() {
  const [plain, relaxed] = [await compile(), await compile('--enable', 'relaxed-simd')];
  return `/** The kernels, compiled from \`kernels/\` by \`npm run build:kernels\`, in base64; a test compares them with their source. */

/** For every engine with SIMD. */
export const plainKernels =
  '${plain.toString('base64')}';

/** With relaxed SIMD: fused multiply-add. */
export const relaxedKernels =
  '${relaxed.toString('base64')}';
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const source = await binariesSource();
  await writeFile(target, source);
  console.log(`${target}: ${source.length} bytes`);
}
