/** Draws boxes with names over a picture, with the pixels of objects where they are known, and lists them. */
import type { ImageSource } from '../classifier/decode.ts';
import type { Precision } from '../classifier/fields.ts';
import type { DetectedObject, DetectionResult, Detector } from '../tasks/detector.ts';
import { colourOf, cssColour, textOn } from './colours.ts';
import { Controls } from './controls.ts';
import type { PageElements } from './elements.ts';
import { Legend } from './legend.ts';
import { Overlay, type Drawing } from './overlay.ts';
import { percent } from './results.ts';
import type { Answer, View } from './view.ts';

/** Objects of a lower score are not shown at first, as by `cohort predict`. */
const usualLeast = 30;
/** And never are those below this one. */
const leastShown = 5;
/** Of a mask's colour over the picture, as `cohort predict` mixes it. */
const maskOpacity = 0.55;

export class ObjectsView implements View {
  readonly #detector: Detector;
  readonly #elements: PageElements;
  readonly #overlay: Overlay;
  readonly #controls: Controls;
  #legend: Legend | null = null;
  #result: DetectionResult | null = null;
  #highlighted: number | null = null;

  constructor(detector: Detector, elements: PageElements, redo: () => void) {
    this.#detector = detector;
    this.#elements = elements;
    this.#overlay = new Overlay(elements.overlay, elements.video);
    const least = { name: 'Least score', value: usualLeast, least: leastShown, most: 95 };
    this.#controls = new Controls(elements, detector.networks, least, {
      network: redo,
      amount: () => {
        const { announcement } = elements;
        if (this.#result === null) return;
        this.#show(this.#result);
        announcement.textContent = describeObjects(this.#shown(this.#result));
      },
    });
    elements.empty.textContent = 'The objects that are found will be listed here.';
  }

  get precision(): Precision {
    return this.#detector.precision;
  }

  async answer(image: ImageSource): Promise<Answer> {
    const { network } = this.#controls;
    const result = await this.#detector.detect(image, { least: leastShown / 100, network });
    const counts = describeObjects(this.#shown(result));
    return {
      show: () => {
        this.#show(result);
      },
      sentence: counts,
      key: counts,
    };
  }

  clear(): void {
    this.#result = null;
    this.#overlay.clear();
  }

  warmUp(): Promise<void> {
    return this.#detector.warmUp();
  }

  dispose(): void {
    this.#detector.dispose();
    this.#overlay.dispose();
    this.#controls.dispose();
    this.#legend?.dispose();
  }

  #shown({ objects }: DetectionResult): readonly DetectedObject[] {
    return objects.filter(({ score }) => score >= this.#controls.amount);
  }

  #show(result: DetectionResult): void {
    this.#result = result;
    const objects = this.#shown(result);
    this.#legend ??= new Legend(this.#elements.results, (place) => {
      this.#highlighted = place;
      this.#overlay.redraw();
    });
    this.#legend.show(
      describeObjects(objects),
      objects.map(({ label, index, score }) => ({
        label,
        share: percent(score),
        colour: cssColour(colourOf(index)),
      })),
    );
    const masks = objects.map(maskImage);
    this.#overlay.show(result, (drawing) => {
      const { context, cover } = drawing;
      const strength = (place: number): number =>
        this.#highlighted !== null && this.#highlighted !== place ? 0.2 : 1;
      // The highest score on top, and boxes over all masks.
      for (const [place, { mask }] of [...objects.entries()].reverse()) {
        const image = masks[place];
        if (!image) continue;
        context.globalAlpha = maskOpacity * strength(place);
        cover(image, mask);
      }
      for (const [place, object] of [...objects.entries()].reverse()) {
        context.globalAlpha = strength(place);
        drawObject(drawing, object);
      }
      context.globalAlpha = 1;
    });
  }
}

/** The pixels of an object in its colour; null where there are none. */
function maskImage({ mask, index }: DetectedObject): HTMLCanvasElement | null {
  if (!mask?.data.length) return null;
  const { width, height, data } = mask;
  const canvas = Object.assign(document.createElement('canvas'), { width, height });
  const context = canvas.getContext('2d');
  const image = context?.createImageData(width, height);
  if (!image) return null;
  const colour = colourOf(index);
  for (const [place, inside] of data.entries()) {
    if (inside) image.data.set([...colour, 255], 4 * place);
  }
  context?.putImageData(image, 0, 0);
  return canvas;
}

function drawObject(
  { context, density, place }: Drawing,
  { box, index, label, score }: DetectedObject,
): void {
  const { x, y, width, height } = place(box);
  const colour = colourOf(index);
  context.lineJoin = 'round';
  for (const [line, style] of [
    [4, 'rgba(0, 0, 0, 0.5)'],
    [2, cssColour(colour)],
  ] as const) {
    context.lineWidth = line * density;
    context.strokeStyle = style;
    context.strokeRect(x, y, width, height);
  }
  const text = `${label} ${percent(score)}`;
  context.font = `600 ${12.5 * density}px system-ui, sans-serif`;
  context.textBaseline = 'middle';
  const padding = 4 * density;
  const [labelWidth, labelHeight] = [context.measureText(text).width + 2 * padding, 18 * density];
  const left = Math.max(0, Math.min(x - density, context.canvas.width - labelWidth));
  const top = y >= labelHeight ? y - labelHeight : y;
  context.fillStyle = cssColour(colour);
  context.fillRect(left, top, labelWidth, labelHeight);
  context.fillStyle = textOn(colour);
  context.fillText(text, left + padding, top + labelHeight / 2 + density / 2);
}

/** `3 objects: 2 cat, 1 dog.` */
export function describeObjects(objects: readonly DetectedObject[]): string {
  if (objects.length === 0) return 'No objects with this score.';
  const counts = new Map<string, number>();
  for (const { label } of objects) counts.set(label, (counts.get(label) ?? 0) + 1);
  const parts = [...counts].sort((a, b) => b[1] - a[1]).map(([label, count]) => `${count} ${label}`);
  return `${objects.length} object${objects.length === 1 ? '' : 's'}: ${parts.join(', ')}.`;
}
