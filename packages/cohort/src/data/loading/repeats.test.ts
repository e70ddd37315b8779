/** An image that a sampler shows several times in an epoch is varied anew each time, whatever is asked for before. */
import { describe, expect, it } from 'vitest';
import { ContrastSampler } from '../../methods/mcl/contrastSampler.ts';
import { SampleDraws } from '../augment/draws.ts';
import { BatchLoader } from './batches.ts';
import { channelStatistics } from './normalisation.ts';
import { RANDOM_PURPOSE } from './random.ts';
import { countRepeats, epochOrder, type SamplerSettings } from '../samplers/index.ts';
import { madeUpSplit } from '../testing.ts';

const shape = { channels: 1, height: 16, width: 16 };
/** Sixty images of one class and a single one of another, which a balanced sampler must repeat. */
const labels = [...new Array<number>(60).fill(0), 1];
const rare = labels.length - 1;
const split = madeUpSplit(shape, labels);
const normalisation = channelStatistics(split, shape);
const samplers: SamplerSettings[] = [{ name: 'shuffled' }, { name: 'class-balanced', imagesPerClass: 1 }];

function loader(sampler: SamplerSettings, networks = 1): BatchLoader {
  return new BatchLoader(split, {
    shape,
    batchSize: 4,
    normalisation,
    seed: 3,
    sampler,
    dropLast: true,
    networks,
    augmentation: {
      cropPadding: 4,
      horizontalFlip: true,
      erasing: {},
      mixup: null,
      views: networks > 1 ? 'independent' : 'shared',
    },
  });
}

/** What every network sees of the rare image in an epoch, one list a repeat. */
function appearances(source: BatchLoader, epoch: number): string[][] {
  return Array.from({ length: source.batchCount }, (_, number) => source.batch(epoch, number)).flatMap(
    (batch) => {
      const row = batch.indices.indexOf(rare);
      const views = (batch.views ?? [batch.images]).map((view) =>
        view.select(0, Math.max(0, row)).toNumbers(),
      );
      batch.dispose();
      return row < 0 ? [] : [views.map((view) => view.join())];
    },
  );
}

describe('an image that comes several times in an epoch', () => {
  it('is cropped, flipped and erased anew each time, for every network', () => {
    const source = loader({ name: 'class-balanced', imagesPerClass: 1 }, 2);
    const seen = appearances(source, 0);
    expect(seen.length).toBeGreaterThan(10);
    for (const network of [0, 1]) {
      const distinct = new Set(seen.map((views) => views[network]));
      // 81 crops, two flips and erased boxes: two of fifteen may coincide, most must not.
      expect(distinct.size).toBeGreaterThan(seen.length - 3);
    }
    expect(seen.filter(([first, second]) => first === second).length).toBeLessThan(3);
    source.dispose();
  });

  it('is the same in a batch that is made alone, as after a resume', () => {
    const whole = loader({ name: 'class-balanced', imagesPerClass: 1 });
    const all = Array.from(whole.epoch(1), (batch) => batch.images.toNumbers());
    const resumed = loader({ name: 'class-balanced', imagesPerClass: 1 });
    for (const number of [14, 7, 11]) {
      expect(resumed.batch(1, number).images.toNumbers()).toEqual(all[number]);
    }
    whole.dispose();
    resumed.dispose();
  });

  it('draws other images to be contrasted with', () => {
    const sampler = new ContrastSampler(labels, { positives: 1, negatives: 20 }, 5);
    const draw = (repeats?: Int32Array): number[] =>
      sampler.draw(Int32Array.of(rare, 3), 2, repeats).negatives.toNumbers();
    const first = draw();
    expect(draw(Int32Array.of(0, 0))).toEqual(first);
    const again = draw(Int32Array.of(1, 0));
    expect(again.slice(0, 20)).not.toEqual(first.slice(0, 20));
    expect(again.slice(20)).toEqual(first.slice(20));
  });
});

describe('draws', () => {
  it.each(samplers)('differ for every sample of an epoch of the $name sampler', (sampler) => {
    const indices = epochOrder(sampler, { labels, batchSize: 4, imageCount: 60, seed: 1, epoch: 1 });
    const keys = { seed: 1, epoch: 1, indices, repeats: countRepeats(indices) };
    expect(new Set(new SampleDraws(RANDOM_PURPOSE.erasing, keys).bits()).size).toBe(60);
  });

  it('are those of an epoch without repeats where an image comes for the first time', () => {
    const indices = Int32Array.of(5, 2, 5, 5);
    expect(Array.from(countRepeats(indices))).toEqual([0, 0, 1, 2]);
    const bits = (repeats?: Int32Array): number[] =>
      Array.from(
        new SampleDraws(RANDOM_PURPOSE.erasing, {
          seed: 1,
          epoch: 1,
          indices,
          ...(repeats === undefined ? {} : { repeats }),
        }).bits(),
      );
    expect(bits(countRepeats(indices)).slice(0, 2)).toEqual(bits().slice(0, 2));
  });
});
