/**
 * Compiles `kernels/` to WebAssembly: those of networks once for every engine and once with relaxed SIMD, into
 * `src/wasm/binaries.ts`, and the resize into `src/preprocess/resizeBinary.ts`. `node scripts/buildKernels.mjs`
 */
import { readFile, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { deflateSync } from 'node:zlib';
import asc from 'assemblyscript/asc';
import { tileSource } from '../kernels/tiles.mjs';

const kernels = fileURLToPath(new URL('../kernels/', import.meta.url));
const source = fileURLToPath(new URL('../src/', import.meta.url));

/** Bytes of each of the two that are compressed together. */
const pieceBytes = 16_384;

async function compile(entry, ...options) {
  let binary;
  const { error, stderr } = await asc.main(
    [
      entry,
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

/** The kernels for every engine with SIMD, and those with relaxed SIMD. */
export async function kernelBinaries() {
  return {
    plain: await compile('index.ts'),
    relaxed: await compile('index.ts', '--enable', 'relaxed-simd'),
  };
}

/**
 * The text of `src/wasm/binaries.ts`. The two differ little, but zlib finds repetitions within 32 KiB only: they alternate
 * in pieces.
 */
async function binariesSource() {
  const { plain, relaxed } = await kernelBinaries();
  const pieces = [plain.subarray(0, pieceBytes), relaxed.subarray(0, pieceBytes)];
  const rest = [plain.subarray(pieceBytes), relaxed.subarray(pieceBytes)];
  const compressed = deflateSync(Buffer.concat([...pieces, ...rest]), { level: 9, memLevel: 9 });
  return `/** The kernels, compiled from \`kernels/\` by \`npm run build:kernels\`; a test compares them with their source. */

/** Bytes of the kernels for every engine with SIMD, and bytes that come first of them and then of those with relaxed SIMD. */
export const plainBytes = ${plain.length};
export const pieceBytes = ${pieceBytes};

/** Both, compressed (zlib, RFC 1950) and in base64. */
export const compressedKernels =
  '${compressed.toString('base64')}';
`;
}

/** The text of `src/preprocess/resizeBinary.ts`. */
export async function resizeSource() {
  const binary = await compile('resize.ts');
  return `/** The kernels of the resize, compiled from \`kernels/resize.ts\` by \`npm run build:kernels\`, in base64; a test compares them with their source. */
export const resizeKernels =
  '${binary.toString('base64')}';
`;
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  for (const [path, text] of [
    ['wasm/binaries.ts', await binariesSource()],
    ['preprocess/resizeBinary.ts', await resizeSource()],
  ]) {
    await writeFile(join(source, path), text);
    console.log(`${path}: ${text.length} bytes`);
  }
}
