/** Emoji-Scenes on made-up drawings: the same scenes again, masks that agree with boxes, and styles kept apart. */
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { EmojiSources } from '../../data/emoji/packages.ts';
import { temporaryFolder } from '../../data/testing.ts';
import { at } from '../../support/at.ts';
import { readLabelMap } from '../annotations/labelMap.ts';
import { openAnnotations } from '../annotations/open.ts';
import { decodeMask, maskArea, maskBox } from '../masks/runLengths.ts';
import { areAsRecorded } from './digests.ts';
import { makeEmojiScenes, type ScenesResult } from './make.ts';
import { drawFrom, paintScene } from './scene.ts';
import { drawSprite, renderSprite } from './sprite.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

/** Sixteen subgroups of eight emoji; the style that is held out draws in blue, the other in red. */
function sources(): EmojiSources {
  const subgroups = Array.from({ length: 16 }, (_, index) => index);
  const list = subgroups.flatMap((subgroup) =>
    Array.from({ length: 8 }, (_, index) => ({
      hexcode: (0x1f300 + 8 * subgroup + index).toString(16).toUpperCase(),
      label: `Thing ${subgroup} ${index}`,
      group: 0,
      subgroup,
      order: 8 * subgroup + index,
    })),
  );
  const set = (name: string, colour: string): EmojiSources['sets'][number] => ({
    name,
    version: '1.0.0',
    chars: new Map(list.map(({ hexcode }) => [hexcode.toLowerCase(), `icon-${hexcode.toLowerCase()}`])),
    info: { name, author: { name: 'Nobody' }, license: { title: 'MIT' } },
    icons: {
      width: 16,
      height: 16,
      aliases: {},
      icons: Object.fromEntries(
        list.map(({ hexcode }) => [
          `icon-${hexcode.toLowerCase()}`,
          { body: `<circle cx="8" cy="8" r="7" fill="${colour}"/>` },
        ]),
      ),
    },
  });
  const names = Object.fromEntries(subgroups.map((subgroup) => [`${subgroup}`, `group-${subgroup}`]));
  return {
    list,
    names: { groups: { '0': 'all' }, subgroups: names },
    sets: [set('noto', '#ff0000'), set('twemoji', '#0000ff')],
  };
}

async function make(name: string): Promise<ScenesResult> {
  return makeEmojiScenes(join(folder.path, name), {
    train: 12,
    validation: 2,
    test: 6,
    size: 64,
    sources: sources(),
  });
}

describe('Emoji-Scenes', () => {
  it('are the same again, and read as detection and segmentation', async () => {
    const [first, again] = [await make('a'), await make('b')];
    expect(again.digest).toBe(first.digest);
    expect(first).toMatchObject({ scenes: 20 });
    expect(first.classes).toHaveLength(16);
    const objects = await openAnnotations(first.folder, { wanted: 'objects' });
    expect(objects.problems.lines()).toEqual([]);
    expect(objects.classes).toEqual(first.classes);
    const counts = Object.values(objects.splits).map((images) => images.length);
    expect(counts.sort((a, b) => a - b)).toEqual([2, 6, 12]);
    const pixels = await openAnnotations(first.folder, { wanted: 'pixels' });
    expect(pixels.problems.lines()).toEqual([]);
    expect(pixels.classes).toEqual(['background', ...first.classes]);
    for (const [index, image] of (objects.splits.train ?? []).entries()) {
      const { labels } = await readLabelMap(at(pixels.splits.train ?? [], index).maskFile ?? '');
      const seen = new Uint8Array(labels.length);
      for (const { mask, box, area, category, isCrowd } of image.objects) {
        if (mask === undefined) throw new Error('expected a mask');
        expect(area).toBe(maskArea(mask));
        const [x, y, width, height] = maskBox(mask);
        expect(box).toEqual([x, y, x + width, y + height]);
        for (const [place, inside] of decodeMask(mask).entries()) {
          if (inside === 0) continue;
          // No place belongs to two objects.
          expect(seen[place]).toBe(0);
          seen[place] = 1;
          expect(labels[place]).toBe(isCrowd ? 255 : category + 1);
        }
      }
      expect(labels.every((label, place) => (label === 0) === (seen[place] === 0))).toBe(true);
    }
  });

  it('are known by their digest in the sizes that are recorded', async () => {
    const usual = { train: 2000, validation: 250, test: 500, size: 128 };
    const digest = '141b8cbb729a3f9311e7ebe0b180ecc7b9968687d44c03b58ed7eebaafc53902';
    expect(areAsRecorded(usual, digest)).toBe(true);
    expect(areAsRecorded(usual, digest.replace('1', '2'))).toBe(false);
    expect(areAsRecorded({ ...usual, test: 499 }, digest)).toBeNull();
    // Of drawings of somebody's own, nothing is recorded.
    const own = { train: 8, validation: 2, test: 4, size: 64, sources: sources() };
    expect((await makeEmojiScenes(join(folder.path, 'own'), own)).isAsRecorded).toBeNull();
  });

  it('say what is missing where there are too few subgroups', async () => {
    const few = sources();
    const options = {
      train: 1,
      validation: 1,
      test: 1,
      size: 64,
      sources: { ...few, list: few.list.slice(0, 40) },
    };
    await expect(makeEmojiScenes(join(folder.path, 'c'), options)).rejects.toThrow('have 5 subgroups');
  });
});

describe('a scene', () => {
  it('has objects of enough pixels, and some that are to be ignored', async () => {
    const sprite = await renderSprite(
      '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><rect width="16" height="16" fill="#0f0"/></svg>',
    );
    const scenes = [];
    for (let index = 0; index < 60; index += 1) {
      scenes.push(await paintScene(drawFrom(1, index), 128, () => Promise.resolve({ category: 0, sprite })));
    }
    const objects = scenes.flatMap((scene) => scene.objects);
    expect(Math.min(...objects.map(({ area }) => area))).toBeGreaterThanOrEqual(60);
    expect(objects.some(({ isIgnored }) => isIgnored)).toBe(true);
    expect(scenes.some((scene) => scene.objects.length === 0)).toBe(true);
    expect(objects.length / scenes.length).toBeGreaterThan(1.5);
  });

  it('draws a sprite where its pose says, turned and mirrored', async () => {
    const sprite = await renderSprite(
      '<svg xmlns="http://www.w3.org/2000/svg" width="16" height="16"><rect width="8" height="16" fill="#f00"/></svg>',
    );
    const covered = (angle: number, isMirrored: boolean): Set<number> => {
      const places = new Set<number>();
      drawSprite(
        sprite,
        { x: 16, y: 16, size: 16, angle, isMirrored },
        32,
        (place, red, _green, _blue, opacity) => {
          if (opacity > 0.5 && red > 200) places.add(place);
        },
      );
      return places;
    };
    const at32 = (x: number, y: number): number => y * 32 + x;
    expect(covered(0, false).has(at32(12, 16))).toBe(true);
    expect(covered(0, false).has(at32(20, 16))).toBe(false);
    expect(covered(0, true).has(at32(20, 16))).toBe(true);
    expect(covered(Math.PI / 2, false).has(at32(16, 12))).toBe(true);
    expect(covered(Math.PI / 2, false).has(at32(16, 20))).toBe(false);
  });
});
