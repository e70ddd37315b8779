/**
 * Emoji-Scenes: a benchmark for detection and segmentation from licensed drawings. 16 of Unicode's subgroups; training and validation
 * scenes have six drawing styles, test scenes two others, so that a detector must know things and not drawings.
 */
import { createHash } from 'node:crypto';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { encode } from 'fast-png';
import { writeFileAtomic } from '@cohort-ml/runs';
import { HELD_OUT_STYLES } from '../../data/emoji/catalogue.ts';
import { findDrawings } from '../../data/emoji/make.ts';
import {
  EMOJI_PACKAGES,
  ICON_SETS,
  installWithNpm,
  readPackages,
  type EmojiSources,
} from '../../data/emoji/packages.ts';
import { selectEmoji } from '../../data/emoji/selection.ts';
import { makeWritableFolder } from '../../data/fetch/files.ts';
import { at } from '../../support/at.ts';
import { encodeLabelMap } from '../annotations/labelMap.ts';
import { TaskError } from '../errors.ts';
import { decodeMask, formatRunLengths } from '../masks/runLengths.ts';
import { IGNORED } from '../metrics/segmentation.ts';
import { areAsRecorded, type ScenesSize } from './digests.ts';
import { drawFrom, paintScene, type Scene } from './scene.ts';
import { renderSprite, type Sprite } from './sprite.ts';

/** Subgroups that differ in what they show, in the order in which they are taken: the first sixteen that there are. */
const preferred = [
  'face-smiling',
  'hand-fingers-open',
  'animal-mammal',
  'animal-bird',
  'animal-marine',
  'animal-bug',
  'plant-flower',
  'food-fruit',
  'food-vegetable',
  'food-sweet',
  'drink',
  'transport-ground',
  'transport-air',
  'sport',
  'clothing',
  'musical-instrument',
  'place-building',
  'sky-weather',
  'tool',
  'household',
];
const classCount = 16;

/** Part of what the benchmark is: another seed gives another benchmark. */
const scenesSeed = 4096;

/** How many scenes are made, how large, and what of. */
export interface SceneOptions extends ScenesSize {
  readonly signal?: AbortSignal;
  readonly onMessage?: (text: string) => void;
  readonly onProgress?: (text: string) => void;
  /** The drawings; installed with npm unless given. */
  readonly sources?: EmojiSources;
}

/** What was made. */
export interface ScenesResult {
  readonly folder: string;
  readonly classes: readonly string[];
  readonly scenes: number;
  readonly objects: number;
  /** SHA-256 of every picture and annotation. */
  readonly digest: string;
  /** Whether these are the benchmark as it was recorded; null for other sizes and drawings, of which nothing is recorded. */
  readonly isAsRecorded: boolean | null;
}

/** Drawings of each class. */
type Drawings = readonly (readonly string[])[];

/**
 * Fills `folder` with pictures, COCO annotations, masks of classes, class names and licences. The same packages give the same
 * scenes.
 *
 * @throws {TaskError} where the drawings do not have enough subgroups; errors of npm and of files
 */
export async function makeEmojiScenes(folder: string, options: SceneOptions): Promise<ScenesResult> {
  const { onMessage, signal } = options;
  makeWritableFolder(folder);
  const sources = options.sources ?? (await install(folder, options));
  const { classes, seen, unseen } = drawingsOf(sources);
  const hash = createHash('sha256');
  let objects = 0;
  for (const [split, word, count, drawings] of [
    ['train', 'train', options.train, seen],
    ['validation', 'val', options.validation, seen],
    ['test', 'test', options.test, unseen],
  ] as const) {
    onMessage?.(`painting ${count} ${split} scenes`);
    const made = await makeSplit(
      folder,
      { word, number: ['train', 'val', 'test'].indexOf(word), count, drawings, classes },
      options,
      hash,
    );
    objects += made;
    signal?.throwIfAborted();
  }
  writeFileAtomic(join(folder, 'classes.txt'), `${['background', ...classes].join('\n')}\n`);
  writeFileAtomic(join(folder, 'LICENCES.md'), licences(sources));
  const digest = hash.digest('hex');
  const isAsRecorded = options.sources === undefined ? areAsRecorded(options, digest) : null;
  const scenes = options.train + options.validation + options.test;
  return { folder, classes, scenes, objects, digest, isAsRecorded };
}

async function install(folder: string, { onMessage, signal }: SceneOptions): Promise<EmojiSources> {
  const packages = `${folder}-packages`;
  rmSync(packages, { recursive: true, force: true });
  makeWritableFolder(packages);
  onMessage?.(`installing ${ICON_SETS.length} icon sets with npm (about 25 MB; no scripts are run)`);
  try {
    await installWithNpm(packages, EMOJI_PACKAGES, signal);
    return await readPackages(packages, ICON_SETS);
  } finally {
    rmSync(packages, { recursive: true, force: true });
  }
}

/** Drawings by class: of the styles that are trained on, and of those held out. */
function drawingsOf(sources: EmojiSources): { classes: string[]; seen: Drawings; unseen: Drawings } {
  const { classes: all, emoji } = selectEmoji(sources.list, sources.names);
  const classes = [
    ...preferred.filter((name) => all.includes(name)),
    ...all.filter((name) => !preferred.includes(name)),
  ].slice(0, classCount);
  if (classes.length < classCount) {
    throw new TaskError(
      `The drawings have ${classes.length} subgroups of emoji that are large enough, and ${classCount} are needed.`,
      'Use the pinned packages.',
    );
  }
  const drawings = findDrawings(emoji, sources.sets);
  const isHeldOut = (style: number): boolean => HELD_OUT_STYLES.includes(sources.sets[style]?.name ?? '');
  const of = (wanted: boolean): Drawings =>
    classes.map((name) => {
      const index = all.indexOf(name);
      return drawings
        .filter(
          ({ emojiIndex, styleIndex }) =>
            emoji[emojiIndex]?.classIndex === index && isHeldOut(styleIndex) === wanted,
        )
        .map(({ svg }) => svg);
    });
  return { classes, seen: of(false), unseen: of(true) };
}

interface SplitPlan {
  readonly word: string;
  readonly number: number;
  readonly count: number;
  readonly drawings: Drawings;
  readonly classes: readonly string[];
}

/** Writes one split. @returns how many objects it has */
async function makeSplit(
  folder: string,
  { word, number, count, drawings, classes }: SplitPlan,
  { size, signal, onProgress }: SceneOptions,
  hash: ReturnType<typeof createHash>,
): Promise<number> {
  const sprites = new Map<string, Sprite>();
  const spriteOf = async (svg: string): Promise<Sprite> => {
    const known = sprites.get(svg) ?? (await renderSprite(svg));
    if (sprites.size < 2000) sprites.set(svg, known);
    return known;
  };
  for (const name of ['images', 'masks']) makeWritableFolder(join(folder, name, word));
  makeWritableFolder(join(folder, 'annotations'));
  const images: object[] = [];
  const annotations: object[] = [];
  for (let index = 0; index < count; index += 1) {
    signal?.throwIfAborted();
    if (index % 8 === 0) await setImmediate();
    const draw = drawFrom(scenesSeed, number, index);
    const scene = await paintScene(draw, size, async (forCategory, forDrawing) => {
      const category = Math.floor(forCategory * drawings.length);
      const own = at(drawings, category, 'the classes');
      return {
        category,
        sprite: await spriteOf(at(own, Math.floor(forDrawing * own.length), 'the drawings')),
      };
    });
    const name = `${String(index).padStart(5, '0')}.png`;
    const mask = labelsOf(scene, size);
    hash.update(scene.pixels).update(mask);
    writeFileAtomic(
      join(folder, 'images', word, name),
      encode({ width: size, height: size, data: scene.pixels, channels: 3, depth: 8 }),
    );
    writeFileAtomic(
      join(folder, 'masks', word, name),
      encodeLabelMap({ width: size, height: size, labels: mask }),
    );
    images.push({ id: index + 1, file_name: name, width: size, height: size });
    for (const { category, box, area, mask: own, isIgnored } of scene.objects) {
      annotations.push({
        id: annotations.length + 1,
        image_id: index + 1,
        category_id: category + 1,
        bbox: box,
        area,
        iscrowd: isIgnored ? 1 : 0,
        segmentation: { size: [size, size], counts: formatRunLengths(own) },
      });
    }
    onProgress?.(`painting  ${index + 1} of ${count} scenes`);
  }
  const categories = classes.map((label, place) => ({ id: place + 1, name: label }));
  const text = JSON.stringify({ images, categories, annotations });
  hash.update(text);
  writeFileAtomic(join(folder, 'annotations', `instances_${word}.json`), `${text}\n`);
  return annotations.length;
}

/** Class of every pixel: 0 for the ground, classes from 1 on, and what is to be ignored. */
function labelsOf({ objects }: Scene, size: number): Uint8Array {
  const labels = new Uint8Array(size * size);
  for (const { category, mask, isIgnored } of objects) {
    for (const [place, inside] of decodeMask(mask).entries()) {
      if (inside === 1) labels[place] = isIgnored ? IGNORED : category + 1;
    }
  }
  return labels;
}

function licences({ sets }: EmojiSources): string {
  const rows = sets.map(
    ({ name, version, info }) =>
      `| ${name} ${version} | ${info.name} | ${info.author.name} | ${info.license.title} |`,
  );
  return [
    '# Emoji-Scenes: whose drawings these are',
    '',
    'Every scene has drawings of one or more of the sets below, made smaller, turned and mirrored. Each keeps its licence: whoever passes',
    'scenes on has to name the authors (CC BY) and, for those under CC BY-SA, pass them on under the same licence.',
    '',
    '| style | set | author | licence |',
    '| --- | --- | --- | --- |',
    ...rows,
    '',
  ].join('\n');
}
