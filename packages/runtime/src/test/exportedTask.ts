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

/**
 * An instance segmenter of two stages: four proposals, the quarters of the input, with the likelier ones above; a region has the class of
 * its mean colour, and in its mask the pixels of that colour.
 */
export function exportedTwoStage(): Task {
  const writer = new OnnxWriter([3, side, side]);
  const zeros = (count: number): number[] => new Array<number>(count).fill(0);
  const number = (value: number): string => writer.constant(Float32Array.of(value), []);
  const map = writer.node('Mul', ['x', number(1 / 255)], {}, 1, ['level_0']);
  const flat = writer.node('Flatten', [map]);
  const fixed = (values: readonly number[], shape: readonly number[], name: string): string => {
    const nothing = writer.constant(new Float32Array(3 * side * side * values.length), [
      3 * side * side,
      values.length,
    ]);
    const row = writer.node('Add', [
      writer.node('MatMul', [flat, nothing]),
      writer.constant(Float32Array.from(values)),
    ]);
    return writer.node('Reshape', [row, writer.integers(...shape)], {}, 1, [name]);
  };
  fixed([2, 1, -1, -2], [0, 4], 'objectness');
  fixed([0, 0, 4, 4, 4, 0, 8, 4, 0, 4, 4, 8, 4, 4, 8, 8], [0, 4, 4], 'proposals');
  const place = writer.node('Reshape', [map, writer.integers(0, 3 * side * side, 1, 1)], {}, 1, ['places']);
  const mean = [0, 1, 2].map((channel) =>
    [0, 1, 2].flatMap((own) => new Array<number>(49).fill(own === channel ? 16 / 49 : 0)),
  );
  const head = (rows: readonly (readonly number[])[], bias: readonly number[], name: string): void => {
    const kernel = writer.constant(Float32Array.from(rows.flat()), [rows.length, 3 * 49, 1, 1]);
    writer.node('Conv', [place, kernel, writer.constant(Float32Array.from(bias))], {}, 1, [name]);
  };
  head([zeros(147), mean[0] ?? [], mean[2] ?? []], [2, -8, -8], 'scores of places');
  head(
    Array.from({ length: 12 }, () => zeros(147)),
    zeros(12),
    'shifts',
  );
  const same = Float32Array.from({ length: 36 }, (_, at) =>
    Number(Math.floor(at / 12) === Math.floor((at % 12) / 4)),
  );
  const pooled = writer.node('Identity', [map], {}, 1, ['pooled']);
  const larger = writer.node('ConvTranspose', [pooled, writer.constant(same, [3, 3, 2, 2])], {
    strides: [2, 2],
  });
  const own = writer.constant(Float32Array.of(0, 0, 0, 16, 0, 0, 0, 0, 16), [3, 3, 1, 1]);
  writer.node('Conv', [larger, own, writer.constant(Float32Array.of(0, -8, -8))], {}, 1, [
    'masks of classes',
  ]);
  const names = ['boxes', 'scores', 'labels', 'masks'];
  return exported(
    writer.file(['objectness', 'proposals', 'level_0', 'scores of places', 'shifts', 'masks of classes']),
    {
      task: { name: 'instance-segmentation', head: 'mask-rcnn' },
      labels: ['red', 'blue'],
      choice: {
        scoreThreshold: 0.05,
        overlapThreshold: 0.5,
        mostDetections: 100,
        levelCounts: [],
        stages: {
          levelCounts: [4],
          strides: [1],
          before: 10,
          after: 5,
          first: { objectness: 'objectness', proposals: 'proposals', levels: ['level_0'] },
          second: { input: 'places', scores: 'scores of places', shifts: 'shifts' },
          third: { input: 'pooled', masks: 'masks of classes' },
        },
      },
    },
    [names],
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
