/** An exported folder in miniature for tests: two networks and their ensemble that tell dark, red, green and blue apart. */
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import type { ExportedFiles } from '../classifier/classifier.ts';
import { OnnxWriter } from './onnxWriter.ts';

export const modelPath = 'onnx/model.onnx';
export const labels = ['dark', 'red', 'green', 'blue'] as const;

/** The model file: mean colour, then one linear layer per network. */
function modelFile(): Uint8Array {
  const writer = new OnnxWriter([3, 8, 8]);
  const scaled = writer.node('Mul', ['x', writer.constant(Float32Array.of(1 / 255), [])]);
  const embedding = writer.node('Flatten', [writer.node('GlobalAveragePool', [scaled])], { axis: 1 });
  const weights = Float32Array.of(-4, -4, -4, 8, -4, -4, -4, 8, -4, -4, -4, 8);
  const logits = [1, 2].map((factor) => {
    const rows = writer.constant(
      weights.map((value) => value * factor),
      [4, 3],
    );
    return writer.node('Gemm', [embedding, rows, writer.constant(new Float32Array(4))], { transB: 1 });
  });
  return writer.file([writer.node('Add', logits), ...logits, embedding]);
}

/** What a manifest says of its only model file. */
export function modelEntry(file: Uint8Array): Record<string, unknown> {
  const sha256 = createHash('sha256').update(file).digest('hex');
  return { precision: 'float32', path: modelPath, bytes: file.length, sha256 };
}

/** Manifest and files in memory. */
export function exportedFiles(): ExportedFiles & { readonly manifest: Record<string, unknown> } {
  const file = modelFile();
  // The writer names values by their node: n3 and n4 are the networks' scores, n5 the ensemble's, n2 the embedding.
  const network = (name: string, output: string): unknown => ({
    name,
    kind: 'network',
    architecture: 'linear',
    output,
    embedding: { output: 'n2_0', size: 3 },
  });
  const ensemble = {
    name: 'ensemble',
    kind: 'ensemble',
    architecture: 'sum',
    output: 'n5_0',
    embedding: null,
  };
  return {
    manifest: {
      format: 'cohort-export',
      version: 1,
      run: { dataset: 'colours' },
      labels,
      input: { name: 'x', channels: 3, height: 8, width: 8 },
      preprocessing: { background: '#ffffff', resize: { name: 'lanczos3', fit: 'fill' } },
      networks: [ensemble, network('linear-1', 'n3_0'), network('linear-2', 'n4_0')],
      models: [modelEntry(file)],
    },
    files: { [modelPath]: file },
  };
}

/** Writes an export to disk, with other files next to it. Returns the folder's path. */
export async function writeExport(
  { manifest, files }: ExportedFiles,
  others: Readonly<Record<string, Uint8Array>> = {},
): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'cohort-export-'));
  const all = { ...others, ...files, 'cohort.json': new TextEncoder().encode(JSON.stringify(manifest)) };
  for (const [path, bytes] of Object.entries(all)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), bytes);
  }
  return folder;
}

/** The miniature on disk, with other files next to it. Returns the folder's path. */
export function writeExportedFolder(others: Readonly<Record<string, Uint8Array>> = {}): Promise<string> {
  return writeExport(exportedFiles(), others);
}

/** An image of one colour with `channels` samples a pixel. */
export function plainImage(
  colour: readonly number[],
  width = 20,
  height = 12,
): { width: number; height: number; data: Uint8Array } {
  const data = new Uint8Array(width * height * colour.length);
  for (let index = 0; index < data.length; index++) data[index] = colour[index % colour.length] ?? 0;
  return { width, height, data };
}
