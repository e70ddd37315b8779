/** Pictures have room for their legends. */
import { describe, expect, it } from 'vitest';
import { drawLegend, sizeFor } from './frame.ts';
import { widthOfText } from '../../../support/svg.ts';

describe('a legend', () => {
  it.each([
    ['a few short names', ['independent', 'mcl']],
    ['the names of an ablation', Array.from({ length: 14 }, () => 'VCL + ICL + soft VCL, uniform matching')],
    ['many names', Array.from({ length: 30 }, (_, index) => `trial ${index}`)],
  ])('of %s stays inside the picture', (_, labels) => {
    const { width, height } = sizeFor(labels);
    const texts = drawLegend(labels).flatMap((part) => [
      ...part.matchAll(/<text x="([\d.]+)" y="([\d.]+)"[^>]*>([^<]*)</g),
    ]);
    expect(texts).toHaveLength(labels.length);
    for (const [, x, y, label = ''] of texts) {
      expect(Number(x) + widthOfText(label)).toBeLessThan(width);
      expect(Number(y)).toBeLessThan(height);
    }
  });

  it('gives every series a mark of its own until shapes and colours have all been met', () => {
    const looks = drawLegend(Array.from({ length: 24 }, (_, index) => `${index}`))
      .filter((part) => /^<(circle|polygon)/.test(part))
      .map((part) => {
        const [, , first] = /points="([^,]+),([^ ]+)/.exec(part) ?? [];
        const corners = part.match(/,/g)?.length ?? 0;
        return `${corners} ${first === undefined ? '' : Number(first) % 20} ${/fill="([^"]+)"/.exec(part)?.[1]}`;
      });
    expect(new Set(looks).size).toBe(24);
  });
});
