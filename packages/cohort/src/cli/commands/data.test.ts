/** `cohort data`: what its commands show, and what they exit with. */
import { describe, expect, it } from 'vitest';
import type { DatasetCheck } from '../../data/checkDataset.ts';
import type { FetchResult } from '../../data/fetch/fetchDataset.ts';
import { temporaryFolder } from '../../data/testing.ts';
import { commandActions } from '../actions.ts';
import type { CommandActions } from '../contracts.ts';
import { main } from '../main.ts';

async function run(
  argv: readonly string[],
  actions: Partial<CommandActions>,
  isTTY = false,
): Promise<{ code: number; out: string; err: string }> {
  const texts = { out: '', err: '' };
  const stream = (name: 'out' | 'err') => ({
    isTTY,
    columns: 80,
    write: (text: string) => {
      texts[name] += text;
    },
  });
  let clock = 0;
  const code = await main(argv, {
    stdout: stream('out'),
    stderr: stream('err'),
    variables: {},
    now: () => (clock += 20_000),
    onInterrupt: () => () => undefined,
    ask: null,
    exit: () => undefined,
    exitSoon: () => undefined,
    recipesFolder: '/nowhere',
    actions: { ...commandActions, ...actions },
  });
  return { code, ...texts };
}

const listing = {
  name: 'shapes',
  title: 'Shapes',
  classes: 3,
  trainImages: 1200,
  testImages: 300,
  shape: { channels: 3, height: 32, width: 32 },
  licence: 'MIT',
  homepage: 'http://127.0.0.1/',
  path: null,
  megabytes: 12.3,
};

const check: DatasetCheck = {
  name: 'shapes',
  isPublished: true,
  path: '/data/shapes',
  shape: listing.shape,
  classes: ['round', 'square'],
  train: { count: 7, perClass: [3, 4] },
  validation: null,
  test: { count: 3, perClass: [1, 2] },
  normalisation: { mean: [0.5, 0.4, 0.3], std: [0.1, 0.2, 0.3] },
  problems: [],
  notes: [],
};

const fetched: FetchResult = {
  name: 'shapes',
  folder: '/cache/shapes',
  status: 'fetched',
  files: 3,
  digest: 'abc',
  isAsDocumented: true,
};

describe('cohort data list', () => {
  it('shows a table, then licence and place or how to get it', async () => {
    const listDatasets = () =>
      Promise.resolve([listing, { ...listing, name: 'other', path: '/data/other', megabytes: null }]);
    const { code, out } = await run(['data', 'list'], { listDatasets });
    expect(code).toBe(0);
    expect(out).toBe(
      [
        'dataset  classes  train  test    image  files',
        'shapes         3  1,200   300  3x32x32      -',
        'other          3  1,200   300  3x32x32  found',
        '',
        'shapes: Shapes. Licence: MIT. http://127.0.0.1/',
        '    not found; cohort data fetch shapes (13 MB)',
        'other: Shapes. Licence: MIT. http://127.0.0.1/',
        '    /data/other',
        '',
      ].join('\n'),
    );
    const { out: json } = await run(['data', 'list', '--json'], { listDatasets });
    expect(JSON.parse(json)).toMatchObject({ datasets: [{ name: 'shapes', path: null }, { name: 'other' }] });
  });
});

describe('cohort data check', () => {
  it('shows every class, and exits with 0 when all is as published', async () => {
    const seen: unknown[] = [];
    const checkDataset: CommandActions['checkDataset'] = (...given) => {
      seen.push(given);
      return Promise.resolve(check);
    };
    const { code, out } = await run(['data', 'check', 'shapes', 'here'], { checkDataset });
    expect(code).toBe(0);
    expect(out).toBe(
      [
        'class   train  test',
        'round       3     1',
        'square      4     2',
        'all         7     3',
        'images 3x32x32; of the training pixels, mean 0.5000 0.4000 0.3000, standard deviation 0.1000 0.2000 0.3000',
        'shapes is intact: /data/shapes',
        '',
      ].join('\n'),
    );
    await run(['data', 'check', 'shapes'], { checkDataset });
    expect(seen).toEqual([
      ['shapes', 'here', { followLinks: false }],
      ['shapes', null, { followLinks: false }],
    ]);
  });

  it('takes a path alone for a folder or table of images, and a name for a dataset', async () => {
    const seen: unknown[] = [];
    const checkDataset: CommandActions['checkDataset'] = (...given) => {
      seen.push(given);
      return Promise.resolve(check);
    };
    const folder = temporaryFolder();
    for (const name of ['./nowhere', folder.path, 'photos.csv', 'mnist', 'minst']) {
      await run(['data', 'check', name], { checkDataset });
    }
    folder.remove();
    expect(seen).toEqual([
      ['folder', './nowhere', { followLinks: false }],
      ['folder', folder.path, { followLinks: false }],
      ['folder', 'photos.csv', { followLinks: false }],
      ['mnist', null, { followLinks: false }],
      ['minst', null, { followLinks: false }],
    ]);
  });

  it('shows validation images and what was left out, and follows links when it is told to', async () => {
    const seen: unknown[] = [];
    const checkDataset: CommandActions['checkDataset'] = (...given) => {
      seen.push(given);
      return Promise.resolve({
        ...check,
        validation: { count: 1, perClass: [0, 1] },
        notes: ['ignored, hidden: 2 files'],
      });
    };
    const { out } = await run(['data', 'check', './photos', '--follow-links'], { checkDataset });
    expect(seen).toEqual([['folder', './photos', { followLinks: true }]]);
    expect(out).toContain('class   train  validation  test\nround       3           0     1\n');
    expect(out).toContain('note: ignored, hidden: 2 files\nshapes is intact: /data/shapes\n');
  });

  it('exits with 1 when something differs', async () => {
    const checkDataset = () => Promise.resolve({ ...check, problems: ['7 training images.'] });
    const { code, out } = await run(['data', 'check', 'shapes'], { checkDataset });
    expect(code).toBe(1);
    expect(out).toContain('problem: 7 training images.\nshapes is not as published: /data/shapes\n');
    const own = () => Promise.resolve({ ...check, isPublished: false, problems: ['1 broken file'] });
    const { out: ownOut } = await run(['data', 'check', 'shapes'], { checkDataset: own });
    expect(ownOut).toContain('problem: 1 broken file\nshapes has problems: /data/shapes\n');
    const { out: json } = await run(['data', 'check', 'shapes', '--json'], { checkDataset });
    expect(JSON.parse(json)).toMatchObject({ status: 'problems', problems: ['7 training images.'] });
  });
});

describe('cohort data fetch', () => {
  it('tells what is under way, in one line that is drawn again where that is possible', async () => {
    const fetchDataset: CommandActions['fetchDataset'] = (_name, { reporter }) => {
      reporter.message('downloading a.tar.gz');
      reporter.progress?.('a.tar.gz  50%');
      reporter.progress?.('a.tar.gz  90%');
      return Promise.resolve(fetched);
    };
    const log = await run(['data', 'fetch', 'shapes'], { fetchDataset });
    expect(log.out).toBe(
      [
        'downloading a.tar.gz',
        'a.tar.gz  50%',
        'a.tar.gz  90%',
        'shapes is there: /cache/shapes (3 files)',
        'SHA-256 of its SHA256SUMS: abc, as documented',
        'next: cohort data check shapes, or data.dataset=shapes in a recipe',
        '',
      ].join('\n'),
    );
    const terminal = await run(['data', 'fetch', 'shapes'], { fetchDataset }, true);
    expect(terminal.out).toContain('a.tar.gz  50%\r\u001B[Ja.tar.gz  90%\nshapes is there');
    const quiet = await run(['data', 'fetch', 'shapes', '--quiet'], { fetchDataset });
    expect(quiet.out).not.toContain('50%');
  });

  it('says when nothing had to be done, and when the digest is another', async () => {
    const fetchDataset = () =>
      Promise.resolve({ ...fetched, status: 'verified', isAsDocumented: false } satisfies FetchResult);
    const { out } = await run(['data', 'fetch', 'shapes'], { fetchDataset });
    expect(out).toContain('shapes is already there, unchanged: /cache/shapes (3 files)');
    expect(out).toContain('abc; the documentation lists another, which a different sharp version explains');
  });
});

describe('wrong usage', () => {
  it.each([
    [['data'], 'Usage: cohort data'],
    [['data', 'fetsh', 'emoji'], "unknown command 'fetsh'"],
    [['data', 'fetch'], "missing required argument 'dataset'"],
  ])('%j exits with 2', async (argv, message) => {
    const { code, err } = await run(argv, {});
    expect(code).toBe(2);
    expect(err).toContain(message);
  });

  it('names the nearest dataset', async () => {
    const { code, err } = await run(['data', 'check', 'cifar-10'], {});
    expect(code).toBe(1);
    expect(err).toContain('Did you mean cifar10?');
  });
});
