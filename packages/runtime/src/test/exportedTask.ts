/** Exported segmenters and detectors in miniature for tests: red and blue things, two networks each. */
import type { ExportedFiles } from '../classifier/open.ts';
import { modelEntry, modelPath } from './exportedFolder.ts';
import { OnnxWriter } from './onnxWriter.ts';

/** Side of the input. */
const side = 8;

/** What a manifest says of itself in such a test. */
type Task = ExportedFiles & { readonly manifest: Record<string, unknown> };

function exported(
  file: Uint8Array,
  own: { readonly task: unknown; readonly labels: readonly string[]; readonly choice: unknown },
  outputs: readonly (readonly string[])[],
): Task {
  return {
    manifest: {
      format: 'cohort-task-export',
      version: 1,
      run: { dataset: 'folder', id: 'signs-20261130-101500' },
      ...own,
      input: {
        name: 'x',
        height: side,
        width: side,
        fit: 'contain, top left',
        fill: [0, 255, 0],
        normalisation: 'graph',
      },
      networks: outputs.map((names, index) => ({
        name: `linear-${index + 1}`,
        kind: 'network',
        architecture: 'linear',
        outputs: names.map((name) => ({ name, shape: [], meaning: '' })),
      })),
      models: [modelEntry(file)],
    },
    files: { [modelPath]: file },
  };
}

/**
 * Four boxes, the quarters of the input, with scores for red and blue: about 1 where a quarter has that colour. The second network has
 * half their scores.
 */
export function exportedDetector(): Task {
  const writer = new OnnxWriter([3, side, side]);
  const scaled = writer.node('Mul', ['x', writer.constant(Float32Array.of(1 / 255), [])]);
  const half = { kernel_shape: [side / 2, side / 2], strides: [side / 2, side / 2] };
  const quarters = writer.node('AveragePool', [scaled], half);
  const rows = (weights: readonly number[], outputs: number): string => {
    const kernel = writer.constant(Float32Array.from(weights), [outputs, 3, 1, 1]);
    const map = writer.node('Conv', [quarters, kernel]);
    const turned = writer.node('Transpose', [map], { perm: [0, 2, 3, 1] });
    return writer.node('Reshape', [turned, writer.integers(0, 4, outputs)]);
  };
  const logits = writer.node('Sub', [
    rows([16, -8, -8, -8, -8, 16], 2),
    writer.constant(Float32Array.of(8), []),
  ]);
  const scores = writer.node('Sigmoid', [logits]);
  const fewer = writer.node('Mul', [scores, writer.constant(Float32Array.of(0.5), [])]);
  const corners = [0, 0, 4, 4, 4, 0, 8, 4, 0, 4, 4, 8, 4, 4, 8, 8];
  const boxes = writer.node('Add', [
    rows(new Array<number>(12).fill(0), 4),
    writer.constant(Float32Array.from(corners), [4, 4]),
  ]);
  const names = ['scores', 'boxes', 'scores_linear-2', 'boxes_linear-2'];
  const outputs = [scores, boxes, fewer, boxes].map((value, index) =>
    writer.node('Identity', [value], {}, 1, [names[index] ?? '']),
  );
  return exported(
    writer.file(outputs),
    {
      task: { name: 'detection', head: 'fcos' },
      labels: ['red', 'blue'],
      choice: { scoreThreshold: 0.05, overlapThreshold: 0.5, mostDetections: 100, levelCounts: [3, 1] },
    },
    [names.slice(0, 2), names.slice(2)],
  );
}

/** Every pixel by its own colour: background, red or blue. The second network takes red for blue. */
export function exportedSegmenter(): Task {
  const writer = new OnnxWriter([3, side, side]);
  const scaled = writer.node('Mul', ['x', writer.constant(Float32Array.of(8 / 255), [])]);
  const map = (weights: readonly number[], name: string): string => {
    const kernel = writer.constant(Float32Array.from(weights), [3, 3, 1, 1]);
    return writer.node('Identity', [writer.node('Conv', [scaled, kernel])], {}, 1, [name]);
  };
  const outputs = [
    map([0, 1, 0, 1, -1, -1, -1, -1, 1], 'logits'),
    map([0, 1, 0, -1, -1, 1, 1, -1, -1], 'logits_linear-2'),
  ];
  return exported(
    writer.file(outputs),
    {
      task: { name: 'segmentation', head: 'fcn' },
      labels: ['background', 'red', 'blue'],
      choice: null,
    },
    [['logits'], ['logits_linear-2']],
  );
}

/** A picture whose left half is red and whose right half is blue, as pixels. */
export function redAndBlue(
  width: number,
  height: number,
): { width: number; height: number; data: Uint8Array } {
  const data = new Uint8Array(3 * width * height);
  for (let place = 0; place < width * height; place++) {
    data[3 * place + (place % width < width / 2 ? 0 : 2)] = 255;
  }
  return { width, height, data };
}
