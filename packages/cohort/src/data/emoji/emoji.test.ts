/** Emoji-70's making, on made-up icon sets: pictures are matched, rendered, split and described as they should be, and made again alike. */
import { chmodSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { ImageSplit } from '../dataset.ts';
import { fetchDataset } from '../fetch/fetchDataset.ts';

import { dataErrorOf, loadInMemory, temporaryFolder } from '../testing.ts';
import type { IconSet } from './iconSets.ts';
import { candidateNames, codePointKey, findPicture, iconName } from './iconSets.ts';
import { renderSvg } from './make.ts';
import type { PackageInstaller } from './packages.ts';
import { EMOJI_PACKAGES, ICON_SETS, installWithNpm } from './packages.ts';
import { selectEmoji } from './selection.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder.remove();
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

const names = {
  groups: { '0': 'smileys', '2': 'component', '3': 'animals' },
  subgroups: { '4': 'face', '7': 'hair-style', '9': 'animal-bird' },
};

/** `count` emoji of a subgroup from a code point on. */
function madeEmoji(count: number, place: { group: number; subgroup: number; from: number }) {
  return Array.from({ length: count }, (_, index) => ({
    hexcode: `${(place.from + index).toString(16).toUpperCase()}-FE0F`,
    label: `Thing ${place.from + index}`,
    group: place.group,
    subgroup: place.subgroup,
    order: place.from + index,
  }));
}

const list = [
  ...madeEmoji(10, { group: 3, subgroup: 9, from: 0x1f400 }),
  ...madeEmoji(9, { group: 0, subgroup: 4, from: 0x1f600 }),
  ...madeEmoji(9, { group: 2, subgroup: 7, from: 0x1f9b0 }),
  { hexcode: '1F1E6', label: 'regional indicator A' },
];

describe('selectEmoji', () => {
  it('takes subgroups that are large enough, without components and without what has no group', () => {
    const { classes, emoji } = selectEmoji(list, names);
    expect(classes).toEqual(['face', 'animal-bird']);
    expect(emoji.map(({ classIndex }) => classIndex)).toEqual([
      ...Array<number>(9).fill(0),
      ...Array<number>(10).fill(1),
    ]);
    expect(selectEmoji(list, names, { fewest: 10, most: 40, testShare: 0.2 }).classes).toEqual([
      'animal-bird',
    ]);
  });

  it('puts a fifth of each class into the test split', () => {
    const { emoji } = selectEmoji(list, names);
    for (const classIndex of [0, 1]) {
      expect(emoji.filter((one) => one.classIndex === classIndex && one.isTest)).toHaveLength(2);
    }
  });

  it('draws from large classes, the same whatever order the list is in', () => {
    const rules = { fewest: 8, most: 5, testShare: 0.2 };
    const { emoji } = selectEmoji(list, names, rules);
    expect(emoji.filter(({ classIndex }) => classIndex === 0)).toHaveLength(5);
    expect(selectEmoji([...list].reverse(), names, rules)).toEqual(selectEmoji(list, names, rules));
    expect(emoji.map(({ hexcode }) => hexcode)).not.toEqual(list.slice(0, 5).map(({ hexcode }) => hexcode));
  });

  it('is pinned, so that the benchmark stays the same', () => {
    const { emoji } = selectEmoji(list, names);
    expect(emoji.filter(({ isTest }) => isTest).map(({ label }) => label)).toMatchInlineSnapshot(`
      [
        "Thing 128514",
        "Thing 128516",
        "Thing 128008",
        "Thing 128009",
      ]
    `);
  });
});

/** A picture of one colour. */
const body = (colour: string): string => `<path fill="${colour}" d="M0 0h16v16H0z"/>`;

function madeSet(
  icons: IconSet['icons']['icons'],
  aliases: IconSet['icons']['aliases'] = {},
  chars: Record<string, string> = {},
): IconSet {
  return {
    name: 'made',
    version: '1.0.0',
    icons: { icons, aliases, width: 16, height: 16 },
    chars: new Map(Object.entries(chars)),
    info: { name: 'Made', author: { name: 'Nobody' }, license: { title: 'MIT' } },
  };
}

describe('findPicture', () => {
  const listed = madeSet(
    { hound: { body: body('#111111') }, dog: { body: body('#222222') } },
    {},
    { '1f436': 'hound' },
  );
  const unlisted = madeSet({ 'dog-face': { body: body('#333333') } }, { hound: { parent: 'dog-face' } });
  const emoji = { hexcode: '1F436-FE0F', label: 'Dog' };

  it('goes by code point where the set lists them, and by nothing else', () => {
    const candidates = candidateNames(emoji, [listed, unlisted]);
    expect([...candidates]).toEqual(['hound', 'dog']);
    expect(findPicture(emoji.hexcode, candidates, listed)).toContain('#111111');
    expect(findPicture('1F431', new Set(['dog']), listed)).toBeNull();
  });

  it('goes by the names of the other sets elsewhere, through aliases', () => {
    const candidates = candidateNames(emoji, [listed, unlisted]);
    expect(findPicture(emoji.hexcode, candidates, unlisted)).toContain('#333333');
    expect(findPicture(emoji.hexcode, new Set(['toString', 'wolf']), unlisted)).toBeNull();
  });

  it('knows how sets write code points and names', () => {
    expect(codePointKey('1F469-200D-2695-FE0F')).toBe('1f469-200d-2695');
    expect(iconName('flag: Côte d’Ivoire')).toBe('flag-cote-divoire');
    expect(iconName('Mrs. Claus')).toBe('mrs-claus');
  });

  it('refuses aliases that go in a circle', async () => {
    const circle = madeSet({}, { a: { parent: 'b' }, b: { parent: 'a' } });
    const error = await dataErrorOf(() => findPicture('1F436', new Set(['a']), circle));
    expect(error.message).toContain('aliases that go round in a circle');
  });

  it('mirrors aliases that say so', async () => {
    const half = { body: '<path fill="#ff0000" d="M0 0h8v16H0z"/>' };
    const set = madeSet(
      { half },
      { flipped: { parent: 'half', hFlip: true }, down: { parent: 'half', vFlip: true } },
    );
    const redAt = async (name: string, column: number): Promise<boolean> => {
      const svg = findPicture('1F436', new Set([name]), set) ?? '';
      const planes = await renderSvg(svg, 32); // [3, 32, 32]
      return planes[5 * 32 + column] === 255 && planes[1024 + 5 * 32 + column] === 0;
    };
    expect([await redAt('half', 3), await redAt('half', 28)]).toEqual([true, false]);
    expect([await redAt('flipped', 3), await redAt('flipped', 28)]).toEqual([false, true]);
    expect([await redAt('down', 3), await redAt('down', 28)]).toEqual([true, false]);
  });
});

describe('renderSvg', () => {
  it('lays drawings on white in the middle and keeps their proportions', async () => {
    const svg = `<svg xmlns="http://www.w3.org/2000/svg" width="8" height="16" viewBox="0 0 8 16">${body('#0000ff')}</svg>`;
    const planes = await renderSvg(svg, 32);
    const pixel = (row: number, column: number) =>
      [0, 1, 2].map((channel) => planes[channel * 1024 + row * 32 + column]);
    expect([pixel(16, 2), pixel(16, 16), pixel(16, 29)]).toEqual([
      [255, 255, 255],
      [0, 0, 255],
      [255, 255, 255],
    ]);
  });

  it('names what cannot be rendered', async () => {
    const error = await dataErrorOf(() => renderSvg('<svg><g></svg>', 32));
    expect(error.kind).toBe('decode');
    expect(error.message).toContain('<svg><g></svg>');
  });
});

/** Every emoji in every set in a colour of its own; the second set draws all birds alike. */
const installMadeUp: PackageInstaller = (into) => {
  const modules = join(into, 'node_modules');
  const write = (path: string, value: unknown): void => {
    mkdirSync(join(modules, path, '..'), { recursive: true });
    writeFileSync(join(modules, path), JSON.stringify(value));
  };
  write('emojibase-data/en/data.json', list);
  write('emojibase-data/meta/groups.json', names);
  for (const [style, { name }] of ICON_SETS.entries()) {
    const icons = list.slice(0, 19).map(({ label }, index) => {
      const colour = style === 1 && index < 10 ? '#fefefe' : `#${hex(style * 16)}${hex(index * 8)}20`;
      return [iconName(label), { body: body(colour) }];
    });
    const chars = list.slice(0, 19).map(({ hexcode, label }) => [codePointKey(hexcode), iconName(label)]);
    write(`${name}/icons.json`, { icons: Object.fromEntries(icons) as unknown, width: 16, height: 16 });
    write(`${name}/chars.json`, style % 2 === 0 ? (Object.fromEntries(chars) as unknown) : {});
    write(`${name}/info.json`, {
      name: `Set ${style}`,
      author: { name: 'Somebody', url: 'http://127.0.0.1/' },
      license: { title: 'CC BY 4.0' },
    });
  }
  return Promise.resolve();
};
const hex = (value: number): string => value.toString(16).padStart(2, '0');

describe('the dataset', () => {
  const environment = () => ({ XDG_CACHE_HOME: folder.path });
  const fetch = (name: string) =>
    fetchDataset(name, { environment: environment(), installPackages: installMadeUp });

  /** Style and emoji of every picture, from its colour. */
  const colours = ({ images, count }: ImageSplit, size: number): string[] =>
    Array.from({ length: count }, (_, index) => {
      const at = (channel: number) => images[(index * 3 + channel) * size * size + (size * size) / 2] ?? 0;
      return `${at(0) / 16} ${at(1) / 8}`;
    });

  it('is split by emoji or by style, without a picture in both', async () => {
    const result = await fetch('emoji');
    expect(result).toMatchObject({ status: 'fetched', files: 3, isAsDocumented: false });
    const [byEmoji, byStyle] = await Promise.all(
      ['emoji', 'emoji-styles'].map((name) => loadInMemory(name, { environment: environment() })),
    );
    // 19 emoji in 8 styles, less nine of the ten birds that the second set draws alike.
    expect((byEmoji?.train.count ?? 0) + (byEmoji?.test.count ?? 0)).toBe(19 * 8 - 9);
    expect((byStyle?.train.count ?? 0) + (byStyle?.test.count ?? 0)).toBe(19 * 8 - 9);
    for (const [dataset, part] of [
      [byEmoji, 1],
      [byStyle, 0],
    ] as const) {
      if (dataset === undefined) throw new Error('not loaded');
      expect(dataset).toMatchObject({ classes: ['face', 'animal-bird'], channels: 3, height: 32, width: 32 });
      const keys = (split: ImageSplit) =>
        new Set(
          colours(split, 32)
            .filter((colour) => !colour.startsWith('15'))
            .map((colour) => colour.split(' ')[part]),
        );
      const train = keys(dataset.train);
      const test = keys(dataset.test);
      expect(test.size).toBe(part === 1 ? 4 : 2);
      expect([...test].filter((key) => train.has(key))).toEqual([]);
    }
    // Twemoji and OpenMoji, the third and the sixth set.
    expect(
      new Set(
        colours(byStyle?.test ?? { images: new Uint8Array(0), labels: [] as never, count: 0 }, 32).map(
          (colour) => colour.split(' ')[0],
        ),
      ),
    ).toEqual(new Set(['2', '5']));
  });

  it('labels every picture with its class', async () => {
    await fetch('emoji-64');
    const { train, height } = await loadInMemory('emoji-64', { environment: environment() });
    expect(height).toBe(64);
    for (const [index, colour] of colours(train, 64).entries()) {
      const emoji = Number(colour.split(' ')[1]);
      if (!colour.startsWith('15')) expect(train.labels[index]).toBe(emoji < 10 ? 1 : 0);
    }
  });

  it('is made again byte by byte, names its authors, and cleans up', async () => {
    const first = await fetch('emoji');
    expect(readdirSync(join(folder.path, 'cohort'))).toEqual(['emoji']);
    expect(readFileSync(join(first.folder, 'LICENCES.md'), 'utf8')).toContain(
      '| noto-v1 | Set 1 | [Somebody](http://127.0.0.1/) | CC BY 4.0 | @iconify-json/noto-v1 ',
    );
    expect((await fetch('emoji')).status).toBe('verified');
    rmSync(first.folder, { recursive: true });
    expect(await fetch('emoji')).toEqual(first);
  });

  it('refuses pictures and a catalogue that do not belong together', async () => {
    const { folder: made } = await fetch('emoji');
    const load = () => dataErrorOf(() => loadInMemory('emoji', { path: made }));
    const path = join(made, 'catalogue.json');
    const catalogue = JSON.parse(readFileSync(path, 'utf8')) as { pictures: number[][]; classes: string[] };
    writeFileSync(path, JSON.stringify({ ...catalogue, pictures: catalogue.pictures.slice(1) }));
    const count = await load();
    expect(count.kind).toBe('mismatch');
    expect(count.message).toContain('expected pictures [142, 3, 32, 32]');
    writeFileSync(path, JSON.stringify({ ...catalogue, pictures: [[99, 0]] }));
    expect((await load()).message).toContain('numbers that point to no class, emoji or style');
    writeFileSync(path, '{');
    expect((await load()).kind).toBe('format');
  });

  it('names the file of a package that is not as it should be', async () => {
    const installBroken: PackageInstaller = async (into, packages) => {
      await installMadeUp(into, packages);
      rmSync(join(into, 'node_modules', '@iconify-json', 'twemoji', 'icons.json'));
    };
    const error = await dataErrorOf(() =>
      fetchDataset('emoji', { environment: environment(), installPackages: installBroken }),
    );
    expect(error.kind).toBe('missing');
    expect(error.message).toContain(join('twemoji', 'icons.json'));
    expect(readdirSync(join(folder.path, 'cohort'))).toEqual([]);
  });
});

describe('installWithNpm', () => {
  afterEach(() => {
    vi.unstubAllEnvs();
  });

  function fakeNpm(script: string): void {
    const programs = join(folder.path, 'programs');
    mkdirSync(programs);
    writeFileSync(join(programs, 'npm'), `#!/bin/sh\n${script}\n`);
    chmodSync(join(programs, 'npm'), 0o755);
    vi.stubEnv('PATH', `${programs}:${process.env.PATH ?? ''}`);
  }

  it('asks npm for exactly the pinned packages, without scripts', async () => {
    fakeNpm('echo "$@" > words.txt');
    await installWithNpm(folder.path, EMOJI_PACKAGES);
    expect(readFileSync(join(folder.path, 'words.txt'), 'utf8')).toMatch(/^ci --ignore-scripts /);
    const lock = JSON.parse(readFileSync(join(folder.path, 'package-lock.json'), 'utf8')) as {
      packages: Record<string, unknown>;
    };
    const [noto] = ICON_SETS;
    expect(lock.packages['node_modules/@iconify-json/noto']).toEqual({
      version: noto?.version,
      integrity: noto?.integrity,
    });
    expect(Object.keys(lock.packages)).toHaveLength(EMOJI_PACKAGES.length + 1);
  });

  it('passes on what npm says when it fails, and says when there is none', async () => {
    fakeNpm('echo "npm error network timeout" >&2; exit 1');
    const failed = await dataErrorOf(() => installWithNpm(folder.path, EMOJI_PACKAGES));
    expect(failed.kind).toBe('tool');
    expect(failed.message).toContain(
      'got "npm error network timeout". Check that npm reaches its registry (npm ping)',
    );
    vi.stubEnv('PATH', folder.path);
    const none = await dataErrorOf(() => installWithNpm(folder.path, EMOJI_PACKAGES));
    expect(none.message).toContain('got no npm on the PATH. Install npm');
  });
});
