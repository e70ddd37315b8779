/** Two-stage detectors: what is found in pictures, its parts against ONNX Runtime and by hand, and what is refused. */
import { describe, expect, it } from 'vitest';
import { DisposedError, InputError, ModelFileError } from '../../errors.ts';
import { exportedTwoStage, redAndBlue } from '../../test/exportedTask.ts';
import { relativeError, runJudge } from '../../test/judge.ts';
import { OnnxWriter, randomValues } from '../../test/onnxWriter.ts';
import { createDetector } from '../detector.ts';
import { levelOf, Pyramid, RegionPooling } from './pooling.ts';
import { pasteMask } from './paste.ts';
import { chooseProposals } from './proposals.ts';
import { loadStages } from './stagedModel.ts';
import type { Stages } from './stages.ts';
import { readTaskManifest } from '../taskManifest.ts';

/** Eight by five pixels of the input. */
const picture = redAndBlue(64, 40);

/** The miniature with other stages. */
function changed(change: (stages: Record<string, unknown>) => Record<string, unknown>): unknown {
  const { manifest } = exportedTwoStage();
  const choice = manifest.choice as { stages: Record<string, unknown> };
  return { ...manifest, choice: { ...choice, stages: change(choice.stages) } };
}

describe('a two-stage detector', () => {
  it('finds objects with their pixels in the coordinates of the picture', async () => {
    using detector = await createDetector(exportedTwoStage());
    await detector.warmUp();
    const { width, height, objects } = await detector.detect(picture);
    expect([width, height]).toEqual([64, 40]);
    expect(objects.map(({ label, index, box }) => [label, index, box])).toEqual([
      ['blue', 1, [32, 0, 64, 32]],
      ['red', 0, [0, 0, 32, 32]],
    ]);
    for (const { score, mask, box } of objects) {
      expect(score).toBeGreaterThan(0.9);
      if (mask === undefined) throw new Error('expected a mask');
      expect(mask.data.length).toBe(mask.width * mask.height);
      expect(mask.left + mask.width).toBeLessThanOrEqual(64);
      const inside = mask.data.reduce((sum, value) => sum + value, 0);
      expect(inside).toBeGreaterThan(0.8 * 32 * 32);
      expect(inside).toBeLessThanOrEqual(33 * 33);
      const middle = (16 - mask.top) * mask.width + box[0] + 16 - mask.left;
      expect(mask.data[middle]).toBe(1);
    }
  });

  it('cuts boxes off at the border of the picture, and gives only objects that are likely enough', async () => {
    using detector = await createDetector(exportedTwoStage());
    const all = await detector.detect(picture, { least: 0 });
    // The lower quarters hold one row of the picture and what fills the input.
    const lower = all.objects.filter(({ box }) => box[1] === 32);
    expect(lower.map(({ box }) => box)).toEqual([[32, 32, 64, 40]]);
    expect(lower[0]?.score).toBeLessThan(0.9);
    expect(all.objects.every(({ mask }) => mask !== undefined)).toBe(true);
    expect((await detector.detect(picture, { least: 0.9999 })).objects).toEqual([]);
  });

  it.each([
    ['strides', () => ({ strides: [] })],
    ['the first part', () => ({ first: null })],
    ['proposals', () => ({ after: 0.5 })],
  ] as const)('refuses a manifest with senseless %s', async (_, change) => {
    const { files } = exportedTwoStage();
    const manifest = changed((stages) => ({ ...stages, ...change() }));
    const loading = createDetector({ manifest, files });
    await expect(loading).rejects.toThrow(ModelFileError);
    await expect(loading).rejects.toThrow('choice.stages');
  });

  it('refuses values that the file does not have, and other numbers of them than the manifest says', async () => {
    const { files } = exportedTwoStage();
    const without = changed((stages) => ({ ...stages, third: { input: 'pooled', masks: 'nothing' } }));
    await expect(createDetector({ manifest: without, files })).rejects.toThrow('has no value nothing');
    const levels = changed((stages) => ({ ...stages, strides: [1, 2] }));
    await expect(createDetector({ manifest: levels, files })).rejects.toThrow('has no stride');
    using more = await createDetector({ manifest: changed((own) => ({ ...own, levelCounts: [5] })), files });
    await expect(more.detect(picture)).rejects.toThrow('gives 4 proposals, and the manifest says 5');
    const { manifest } = exportedTwoStage();
    using fewer = await createDetector({ manifest: { ...manifest, labels: ['red'] }, files });
    await expect(fewer.detect(picture)).rejects.toThrow(
      'gives 3 scores in place of one for each of 1 classes',
    );
  });

  it('takes one picture at a time, and is of no use after dispose', async () => {
    const { manifest, files } = exportedTwoStage();
    const [file = new Uint8Array()] = Object.values(files);
    const model = await loadStages(file, readTaskManifest(manifest), {});
    expect(() => model.run(new Float32Array(384), [2, 3, 8, 8])).toThrow(InputError);
    model.dispose();
    expect(() => model.run(new Float32Array(192), [1, 3, 8, 8])).toThrow(DisposedError);
  });

  it('finds nothing where no proposal is left', async () => {
    const { manifest, files } = exportedTwoStage();
    const [file = new Uint8Array()] = Object.values(files);
    const model = await loadStages(file, readTaskManifest(manifest), {});
    const outputs = await model.run(new Float32Array(192), [1, 3, 8, 8], {
      inputs: { picture_size: { data: Float32Array.of(0, 0), shape: [2] } },
    });
    expect(outputs.boxes?.shape).toEqual([0, 4]);
    expect(outputs.masks?.shape).toEqual([0, 28, 28]);
    model.dispose();
  });
});

describe('RegionPooling', () => {
  it.each([7, 14])(
    'pools squares of %i bins as RoiAlign of ONNX Runtime does, beyond the border too',
    async (bins) => {
      const [channels, height, width] = [5, 9, 12];
      const boxes = Float32Array.of(
        ...[0, 0, 96, 72],
        ...[3.3, 5.1, 40.7, 9.2],
        ...[80, 60, 120, 90],
        ...[50, 7, 50.5, 7.2],
      );
      const writer = new OnnxWriter([channels, height, width]);
      const pooled = writer.node(
        'RoiAlign',
        ['x', writer.constant(boxes, [4, 4]), writer.integers(0, 0, 0, 0)],
        {
          coordinate_transformation_mode: 'output_half_pixel',
          output_height: bins,
          output_width: bins,
          sampling_ratio: 2,
          spatial_scale: { float: 1 / 8 },
        },
      );
      const data = randomValues(channels * height * width, 5);
      const shape = [1, channels, height, width];
      const theirs = (await runJudge(writer.file([pooled]), 'x', data, shape))[pooled];
      const columns = new Float32Array(5 * channels * bins ** 2);
      new RegionPooling(bins).pool(new Pyramid([{ data, shape }], [8]), boxes, columns, 5);
      const features = channels * bins ** 2;
      const ours = Float32Array.from(
        { length: 4 * features },
        (_, place) => columns[(place % features) * 5 + Math.floor(place / features)] ?? NaN,
      );
      expect(relativeError(ours, theirs?.data ?? new Float32Array())).toBeLessThan(1e-6);
    },
  );

  it('takes the level by the size of the region', () => {
    const boxes = Float32Array.of(
      ...[0, 0, 224, 224],
      ...[0, 0, 223, 224],
      ...[10, 10, 11, 11],
      ...[0, 0, 448, 448],
      ...[0, 0, 9000, 9000],
    );
    const strides = [4, 8, 16, 32];
    expect([0, 1, 2, 3, 4].map((place) => levelOf(boxes, place, strides))).toEqual([2, 1, 0, 3, 3]);
  });
});

describe('chooseProposals', () => {
  const stages: Stages = {
    levelCounts: [3, 2],
    strides: [4, 8],
    before: 2,
    after: 2,
    first: { objectness: 'a', proposals: 'b', levels: ['c', 'd'] },
    second: { input: 'e', scores: 'f', shifts: 'g' },
    third: null,
  };
  const boxes = Float32Array.of(
    ...[-5, 0, 10, 10],
    ...[0, 0, 10, 9],
    ...[20, 20, 90, 30],
    ...[0, 0, 10, 10],
    ...[60, 5, 70, 15],
  );

  it('takes the likeliest of each level, cuts them off, and suppresses within a level', () => {
    const objectness = Float32Array.of(3, 2, 1, 2.5, -1);
    // The third has no place among the two of its level; the second overlaps the first; the last lies outside.
    expect([...chooseProposals(objectness, boxes, stages, { height: 40, width: 50 })]).toEqual([
      ...[0, 0, 10, 10],
      ...[0, 0, 10, 10],
    ]);
  });

  it('keeps no more than are wanted', () => {
    const objectness = Float32Array.of(0, 1, 3, 2.5, 4);
    const chosen = chooseProposals(objectness, boxes, { ...stages, before: 3 }, { height: 40, width: 100 });
    expect([...chosen]).toEqual([...[60, 5, 70, 15], ...[20, 20, 90, 30]]);
  });
});

describe('pasteMask', () => {
  const full = new Float32Array(16).fill(1);

  it('covers its box and nothing beyond the picture', () => {
    const mask = pasteMask(full, 4, [-8, 4, 8, 12], { height: 10, width: 20 });
    expect([mask.left, mask.top]).toEqual([0, 2]);
    expect(mask.top + mask.height).toBe(10);
    const rows = Array.from({ length: mask.height }, (_, row) => mask.data[row * mask.width] ?? NaN);
    expect(rows).toEqual([0, 0, 1, 1, 1, 1, 1, 1]);
  });

  it('is empty outside of the picture', () => {
    const mask = pasteMask(full, 4, [30, 0, 40, 10], { height: 10, width: 20 });
    expect(mask.data).toHaveLength(0);
  });
});
