/** What the dashboard asks of Cohort: the defaults of a recipe, and pictures of held-out images. No engine is opened for either. */
import type { ImageRequest, RunKnowledge } from '@cohort-ml/dashboard';
import { parse } from 'yaml';
import type { ImageDataset, ImageSplit } from '../data/dataset.ts';
import type { ImagePixels } from '../data/loading/pixelSource.ts';
import type { ResolvedRecipe } from '../recipes/index.ts';

/** Datasets that are held at a time: each may be some hundred megabytes. */
const MOST_DATASETS = 2;

/** What every recipe has to say. */
const REQUIRED: readonly (readonly string[])[] = [
  ['name'],
  ['data', 'dataset'],
  ['data', 'path'],
  ['networks', '*', 'model'],
  ['method', 'name'],
  ['train', 'epochs'],
];

interface HeldOutImages {
  readonly shape: Pick<ImageDataset, 'channels' | 'height' | 'width'>;
  readonly test: ImageSplit<ImagePixels>;
  readonly validation: ImageSplit<ImagePixels> | null;
  readonly dispose: (() => void) | null;
}

/** Knowledge for a dashboard. */
export function dashboardKnowledge(): RunKnowledge {
  const datasets = new Map<string, Promise<HeldOutImages | null>>();
  return {
    defaults: defaultsOf,
    tryPage: pageOfRuntime,
    image: async (request) => {
      const images = await imagesOf(request.recipe, datasets);
      return images === null ? null : pictureOf(images, request);
    },
  };
}

/** The runtime's page, if that package is installed and built. */
async function pageOfRuntime(): Promise<ReadonlyMap<string, Uint8Array> | null> {
  // Not a literal: Cohort can do without the package.
  const name = '@cohort-ml/runtime/page';
  try {
    const module: unknown = await import(name);
    const pageFiles = at(module, 'pageFiles');
    if (typeof pageFiles !== 'function') return null;
    const read = pageFiles as () => unknown;
    const files: unknown = await read();
    if (typeof files !== 'object' || files === null) return null;
    return new Map(
      Object.entries(files).flatMap(([file, content]): [string, Uint8Array][] =>
        content instanceof Uint8Array ? [[file, content]] : [],
      ),
    );
  } catch {
    return null;
  }
}

/** The recipe as it would be if it said only what every recipe has to say; that itself is no default, and left out. */
async function defaultsOf(text: string): Promise<unknown> {
  const { resolveRecipe } = await import('../recipes/index.ts');
  const given: unknown = parse(text);
  const networks = listAt(given, 'networks').map((network) => ({ model: at(network, 'model') }));
  const path = at(given, 'data', 'path');
  const bare = {
    name: 'defaults',
    data: {
      dataset: at(given, 'data', 'dataset'),
      ...(path === null || path === undefined ? {} : { path }),
    },
    networks,
    method: { name: at(given, 'method', 'name') },
    train: { epochs: at(given, 'train', 'epochs') },
  };
  try {
    const resolved = resolveRecipe(bare, { source: 'the defaults of a run' });
    return REQUIRED.reduce<unknown>(without, resolved);
  } catch {
    // Of another version, or a method that cannot do without further settings.
    return null;
  }
}

function imagesOf(
  recipe: string,
  datasets: Map<string, Promise<HeldOutImages | null>>,
): Promise<HeldOutImages | null> {
  const given: unknown = parse(recipe);
  // Only what decides which images there are: runs of other methods share them.
  const key = JSON.stringify([at(given, 'data'), at(given, 'seed'), at(given, 'networks')]);
  let found = datasets.get(key);
  if (found === undefined) {
    found = loadHeldOut(recipe).catch(() => null);
    datasets.set(key, found);
    const [oldest] = datasets.keys();
    if (datasets.size > MOST_DATASETS && oldest !== undefined) {
      void datasets.get(oldest)?.then((images) => images?.dispose?.());
      datasets.delete(oldest);
    }
  }
  return found;
}

/** The splits as a training takes them: validation images are split off first, then the subset of test images is taken. */
async function loadHeldOut(text: string): Promise<HeldOutImages> {
  const [{ parseRecipe }, { loadDataset }, { designSizeOf }, { splitValidation }, { stratifiedSubset }] =
    await Promise.all([
      import('../recipes/index.ts'),
      import('../data/registry.ts'),
      import('../models/registry.ts'),
      import('../data/loading/validation.ts'),
      import('../data/loading/subset.ts'),
    ]);
  const recipe: ResolvedRecipe = parseRecipe(text);
  const { dataset: name, path, imageSize, strict, validationImages, testImages } = recipe.data;
  const designSize = designSizeOf(recipe.networks.map(({ model }) => model));
  // Images of folders are decoded one by one: a cache would be mapped into memory by the engine.
  const dataset = await loadDataset(name, { path, imageSize, strict, designSize, cache: 'none' });
  const { seed } = recipe;
  return {
    shape: dataset,
    test: stratifiedSubset(dataset.test, dataset, { count: testImages, seed }),
    validation:
      validationImages === null
        ? (dataset.validation ?? null)
        : splitValidation(dataset.train, dataset, { images: validationImages, seed }).validation,
    dispose: dataset.dispose ?? null,
  };
}

async function pictureOf(images: HeldOutImages, { split, index }: ImageRequest): Promise<Uint8Array | null> {
  const { shape } = images;
  const wanted = images[split];
  if (wanted === null || index >= wanted.count) return null;
  const pixels = await pixelsOf(wanted, shape, index);
  if (pixels === null) return null;
  const { channels, height, width } = shape;
  const plane = height * width;
  // [C, H, W] to [H, W, C]
  const interleaved = Buffer.alloc(pixels.length);
  for (let channel = 0; channel < channels; channel += 1) {
    for (let place = 0; place < plane; place += 1) {
      interleaved[place * channels + channel] = pixels[channel * plane + place] ?? 0;
    }
  }
  const { default: sharp } = await import('sharp');
  const raw = { width, height, channels: channels === 1 ? (1 as const) : (3 as const) };
  return sharp(interleaved, { raw }).png().toBuffer();
}

/** `[C, H, W]`; null where only the engine could reach them. */
async function pixelsOf(
  { images }: ImageSplit<ImagePixels>,
  { channels, height, width }: HeldOutImages['shape'],
  index: number,
): Promise<Uint8Array | null> {
  const size = channels * height * width;
  if (images instanceof Uint8Array) return images.subarray(index * size, (index + 1) * size);
  return images.kind === 'streamed' ? images.fetch(Int32Array.of(index)) : null;
}

/** A copy without the value at a path of keys; `*` stands for every item of a list. */
function without(value: unknown, path: readonly string[]): unknown {
  const [key = '', ...rest] = path;
  if (key === '*' && Array.isArray(value)) return value.map((item) => without(item, rest));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).flatMap(([name, inner]): [string, unknown][] => {
      if (name !== key) return [[name, inner]];
      return rest.length === 0 ? [] : [[name, without(inner, rest)]];
    }),
  );
}

function at(value: unknown, ...keys: readonly string[]): unknown {
  return keys.reduce<unknown>(
    (inner, key) =>
      typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>)[key] : undefined,
    value,
  );
}

function listAt(value: unknown, key: string): unknown[] {
  const found = at(value, key);
  return Array.isArray(found) ? found : [];
}
