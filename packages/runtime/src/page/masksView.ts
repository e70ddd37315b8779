/** Lays the colours of classes over a picture, with a legend. */
import type { ImageSource } from '../classifier/decode.ts';
import type { Precision } from '../classifier/fields.ts';
import type { ClassShare, SegmentationResult, Segmenter } from '../tasks/segmenter.ts';
import { colourOf, cssColour, isBackground } from './colours.ts';
import { Controls } from './controls.ts';
import type { PageElements } from './elements.ts';
import { Legend } from './legend.ts';
import { Overlay } from './overlay.ts';
import { percent } from './results.ts';
import type { Answer, View } from './view.ts';

/** Per cent of the classes' colours over the picture, as `cohort predict` mixes them. */
const usualOpacity = 55;
/** Classes that a screen reader hears of. */
const mostSpoken = 5;

export class MasksView implements View {
  readonly #segmenter: Segmenter;
  readonly #elements: PageElements;
  readonly #overlay: Overlay;
  readonly #controls: Controls;
  #legend: Legend | null = null;
  #result: SegmentationResult | null = null;
  #highlighted: number | null = null;

  constructor(segmenter: Segmenter, elements: PageElements, redo: () => void) {
    this.#segmenter = segmenter;
    this.#elements = elements;
    this.#overlay = new Overlay(elements.overlay, elements.video);
    const opacity = { name: 'Strength of the colours', value: usualOpacity, least: 0, most: 100 };
    this.#controls = new Controls(elements, segmenter.networks, opacity, {
      network: redo,
      amount: () => {
        this.#overlay.redraw();
      },
    });
    elements.empty.textContent = 'The classes in the picture will be listed here.';
  }

  get precision(): Precision {
    return this.#segmenter.precision;
  }

  async answer(image: ImageSource): Promise<Answer> {
    const result = await this.#segmenter.segment(image, { network: this.#controls.network });
    const shares = present(result);
    return {
      show: () => {
        this.#show(result);
      },
      sentence: describeShares(shares),
      key: shares
        .slice(0, mostSpoken)
        .map(({ label }) => label)
        .join(';'),
    };
  }

  clear(): void {
    this.#result = null;
    this.#overlay.clear();
  }

  warmUp(): Promise<void> {
    return this.#segmenter.warmUp();
  }

  dispose(): void {
    this.#segmenter.dispose();
    this.#overlay.dispose();
    this.#controls.dispose();
    this.#legend?.dispose();
  }

  #show(result: SegmentationResult): void {
    this.#result = result;
    this.#legend ??= new Legend(this.#elements.results, (place) => {
      const chosen = place === null || this.#result === null ? undefined : present(this.#result)[place];
      this.#highlighted = chosen?.index ?? null;
      this.#overlay.redraw();
    });
    const shares = present(result);
    this.#legend.show(
      `${shares.length} class${shares.length === 1 ? '' : 'es'} in the picture`,
      shares.map(({ label, index, share }) => ({
        label,
        share: percent(share),
        colour: isBackground(label) ? 'transparent' : cssColour(colourOf(index)),
      })),
    );
    const whole = paintLabels(result, null);
    let part: { readonly index: number; readonly image: HTMLCanvasElement } | null = null;
    this.#overlay.show(result, ({ context, cover }) => {
      context.globalAlpha = this.#controls.amount;
      const index = this.#highlighted;
      if (index === null) cover(whole);
      else {
        if (part?.index !== index) part = { index, image: paintLabels(result, index) };
        cover(part.image);
      }
      context.globalAlpha = 1;
    });
  }
}

/** Classes that are in the picture, the largest first. */
function present({ shares }: SegmentationResult): readonly ClassShare[] {
  return shares.filter(({ share }) => share > 0).sort((a, b) => b.share - a.share || a.index - b.index);
}

/** The colours of all classes, or of one alone, in the size of the picture. */
function paintLabels(
  { width, height, labels, shares }: SegmentationResult,
  only: number | null,
): HTMLCanvasElement {
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d');
  if (context === null) return canvas;
  const image = context.createImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const table = Uint32Array.from(shares, ({ label, index }) => {
    if (only === null ? isBackground(label) : index !== only) return 0;
    const [red, green, blue] = colourOf(index);
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  });
  for (let place = 0; place < labels.length; place++) pixels[place] = table[labels[place] ?? 0] ?? 0;
  context.putImageData(image, 0, 0);
  return canvas;
}

function describeShares(shares: readonly ClassShare[]): string {
  const parts = shares.slice(0, mostSpoken).map(({ label, share }) => `${label}, ${percent(share)}`);
  const rest = shares.length - parts.length;
  return `${parts.join('; ')}${rest > 0 ? `; and ${rest} more` : ''}.`;
}
