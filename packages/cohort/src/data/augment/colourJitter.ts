/** Colour jitter of whole batches: brightness, contrast, saturation and hue by random factors, in a random order for each sample. */
import { scope, type Tensor } from '@cohort-ml/torch';
import { RANDOM_PURPOSE } from '../loading/random.ts';
import { adjustBrightness, adjustContrast, adjustHue, adjustSaturation } from './colour.ts';
import { perSample, SampleDraws, type DrawKeys } from './draws.ts';
import { applyByGroup } from './pixels.ts';
import type { ColourJitterSettings } from './settings.ts';

const ADJUSTMENTS = [adjustBrightness, adjustContrast, adjustSaturation, adjustHue] as const;

/** What was drawn for the samples of a batch. */
export interface ColourJitterDraws {
  /** At each of four places, the adjustment of every sample, by its place in brightness, contrast, saturation, hue; -1 for none. */
  readonly order: readonly Int32Array[];
  /** For each of the four adjustments, the factor (for hue: the turns) of every sample. */
  readonly factors: readonly Float64Array[];
}

/** Draws factors from `1 - strength` to `1 + strength`, never below 0, turns from `-hue` to `hue`, and the order. */
export function drawColourJitter(settings: ColourJitterSettings, keys: DrawKeys): ColourJitterDraws {
  const draws = new SampleDraws(RANDOM_PURPOSE.colourJitter, keys);
  const strengths = [settings.brightness, settings.contrast, settings.saturation];
  const chosen = draws.uniform();
  const factors = [
    ...strengths.map((strength) => draws.uniform(Math.max(0, 1 - strength), 1 + strength)),
    draws.uniform(-settings.hue, settings.hue),
  ];
  const isOn = [...strengths, settings.hue].map((strength) => strength > 0);
  const order = ADJUSTMENTS.map(() => new Int32Array(draws.count));
  const ranks = ADJUSTMENTS.map(() => draws.bits());
  for (let row = 0; row < draws.count; row += 1) {
    const sorted = [0, 1, 2, 3].sort((left, right) => (ranks[left]?.[row] ?? 0) - (ranks[right]?.[row] ?? 0));
    const isVaried = (chosen[row] ?? 1) < settings.probability;
    for (const [place, adjustment] of sorted.entries()) {
      const atPlace = order[place];
      if (atPlace !== undefined) atPlace[row] = isVaried && isOn[adjustment] === true ? adjustment : -1;
    }
  }
  return { order, factors };
}

/** Varies the colours as drawn: raw uint8 `[B, C, H, W]` to the same. */
export function colourJitter(images: Tensor, draws: ColourJitterDraws): Tensor {
  return scope(() =>
    draws.order.reduce(
      (current, atPlace) =>
        applyByGroup(current, atPlace, (adjustment, samples, rows) => {
          const factors = Float32Array.from(rows, (row) => draws.factors[adjustment]?.[row] ?? 1);
          return ADJUSTMENTS[adjustment]?.(samples, perSample(factors)) ?? samples;
        }),
      images,
    ),
  );
}
