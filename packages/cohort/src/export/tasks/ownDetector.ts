/** Cohort's own runtime as one that finds objects: it gets the pictures as programs pass them. */
import { importOptional } from '../importOptional.ts';
import { ownRuntimeName } from '../runners.ts';
import type { TaskExportManifest } from './taskManifest.ts';
import type { FoundObjects, ObjectFinder, TestImage } from './twoStageParity.ts';

/** What is used of `@cohort-ml/runtime`. */
interface OwnRuntime {
  createDetector(source: {
    readonly manifest: TaskExportManifest;
    readonly files: Readonly<Record<string, Uint8Array>>;
  }): Promise<OwnDetector>;
}

interface OwnDetector {
  detect(
    image: { readonly height: number; readonly width: number; readonly data: Uint8Array },
    options: { readonly least: number },
  ): Promise<{ readonly objects: readonly OwnObject[] }>;
  dispose(): void;
}

interface OwnObject {
  readonly index: number;
  readonly score: number;
  readonly box: readonly [number, number, number, number];
  readonly mask?: {
    readonly left: number;
    readonly top: number;
    readonly width: number;
    readonly height: number;
    readonly data: Uint8Array;
  };
}

/** @returns null where the runtime is not installed */
export async function openOwnDetector(
  manifest: TaskExportManifest,
  content: Uint8Array,
): Promise<(ObjectFinder & { dispose(): void }) | null> {
  const found = await importOptional(ownRuntimeName, () => import(ownRuntimeName) as Promise<OwnRuntime>);
  const [model] = manifest.models;
  if (found === null || model === undefined) return null;
  const detector = await found.module.createDetector({ manifest, files: { [model.path]: content } });
  return {
    program: `${ownRuntimeName} ${found.version}`,
    find: async (image) => {
      const { objects } = await detector.detect(pictureOf(image, manifest.input), { least: 0 });
      return toObjects(objects, image.picture, manifest.task.name === 'instance-segmentation');
    },
    dispose: () => {
      detector.dispose();
    },
  };
}

/** The picture alone, without what fills the input, its channels side by side. */
function pictureOf(
  { values, picture: { height, width } }: TestImage,
  input: { readonly height: number; readonly width: number },
): { height: number; width: number; data: Uint8Array } {
  const data = new Uint8Array(3 * height * width);
  for (let place = 0; place < height * width; place += 1) {
    const from = Math.floor(place / width) * input.width + (place % width);
    for (const channel of [0, 1, 2]) {
      data[3 * place + channel] = values[channel * input.height * input.width + from] ?? 0;
    }
  }
  return { height, width, data };
}

function toObjects(
  objects: readonly OwnObject[],
  size: TestImage['picture'],
  hasMasks: boolean,
): FoundObjects {
  return {
    boxes: Float32Array.from(objects.flatMap(({ box }) => [...box])),
    scores: objects.map(({ score }) => score),
    categories: objects.map(({ index }) => index),
    masks: hasMasks ? objects.map(({ mask }) => wholeMask(mask, size)) : null,
  };
}

function wholeMask(mask: OwnObject['mask'], { height, width }: TestImage['picture']): Uint8Array {
  const whole = new Uint8Array(height * width);
  if (mask === undefined) return whole;
  for (let row = 0; row < mask.height; row += 1) {
    const own = mask.data.subarray(row * mask.width, (row + 1) * mask.width);
    whole.set(own, (mask.top + row) * width + mask.left);
  }
  return whole;
}
