/** Archives of every kind give their files; damaged and hostile ones are refused with the reason. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { dataErrorOf, temporaryFolder } from '../testing.ts';
import type { MadeMember } from '../testingFormats.ts';
import { madeUpBytes, tarBytes, zipBytes } from '../testingFormats.ts';
import { archiveMembers, readArchive } from './archive.ts';

let folder = temporaryFolder();
beforeEach(() => {
  folder.remove();
  folder = temporaryFolder();
});
afterEach(() => {
  folder.remove();
});

function save(bytes: Uint8Array): string {
  const path = join(folder.path, 'archive');
  writeFileSync(path, bytes);
  return path;
}

const members: readonly MadeMember[] = [
  { name: 'a/one.bin', content: madeUpBytes(513) },
  { name: 'a/zero', content: new Uint8Array(0) },
  { name: './b/two.bin', content: madeUpBytes(200_000, 2) },
];

describe('readArchive', () => {
  it.each([
    ['tar', tarBytes(members)],
    ['tar.gz', gzipSync(tarBytes(members))],
    ['zip', zipBytes(members)],
  ])('gives the files of a %s, whatever its name', async (_kind, bytes) => {
    const contents = await readArchive(save(bytes), () => true);
    expect([...contents.keys()]).toEqual(['a/one.bin', 'a/zero', 'b/two.bin']);
    for (const [index, content] of [...contents.values()].entries()) {
      expect(Buffer.compare(content, members[index]?.content ?? Buffer.alloc(1))).toBe(0);
    }
  });

  it('reads what is wanted and passes over folders, links and devices', async () => {
    const path = save(
      tarBytes([
        { name: 'folder/', type: '5' },
        { name: 'link', type: '2' },
        { name: 'hard', type: '1' },
        { name: 'device', type: '3' },
        { name: 'skipped', content: madeUpBytes(700) },
        { name: 'kept', content: madeUpBytes(10) },
      ]),
    );
    const contents = await readArchive(path, (name) => name !== 'skipped');
    expect([...contents.keys()]).toEqual(['kept']);
    expect(contents.get('kept')).toEqual(Buffer.from(madeUpBytes(10)));
  });

  it('knows the long names of GNU and of pax', async () => {
    const gnu = `${'g'.repeat(150)}/file`;
    const pax = `${'päx'.repeat(60)}/file`;
    const record = (key: string, value: string): Buffer => {
      const rest = Buffer.byteLength(` ${key}=${value}\n`);
      const length = rest + `${rest + 3}`.length;
      return Buffer.from(`${length} ${key}=${value}\n`);
    };
    const path = save(
      tarBytes([
        { name: '././@LongLink', type: 'L', content: Buffer.from(`${gnu}\0`) },
        { name: gnu.slice(0, 100), content: madeUpBytes(5) },
        {
          name: 'PaxHeader',
          type: 'x',
          content: Buffer.concat([record('mtime', '1.5'), record('path', pax)]),
        },
        { name: 'short', content: madeUpBytes(6) },
        { name: 'plain', content: madeUpBytes(7) },
      ]),
    );
    const contents = await readArchive(path, () => true);
    expect([...contents].map(([name, { length }]) => [name, length])).toEqual([
      [gnu, 5],
      [pax, 6],
      ['plain', 7],
    ]);
  });

  it('skips what of a member is not read', async () => {
    const path = save(gzipSync(tarBytes(members)));
    const seen: string[] = [];
    for await (const member of archiveMembers(path)) {
      seen.push(member.name);
      for await (const part of member.content) {
        expect(part.length).toBeGreaterThan(0);
        break;
      }
    }
    expect(seen).toEqual(['a/one.bin', 'a/zero', 'b/two.bin']);
  });
});

describe('hostile and damaged archives', () => {
  it.each(['../out', 'a/../../out', '/etc/out', 'C:/out', 'a\\..\\out'])(
    'refuses a member named %s',
    async (name) => {
      for (const bytes of [tarBytes([{ name }]), zipBytes([{ name }])]) {
        const error = await dataErrorOf(() => readArchive(save(bytes), () => true));
        expect(error.kind).toBe('format');
        expect(error.message).toContain(
          `expected members whose names stay inside of the folder that the archive is unpacked into, got '${name}'`,
        );
      }
    },
  );

  it.each([
    ['tar', tarBytes(members)],
    ['tar.gz', gzipSync(tarBytes(members))],
    ['zip', zipBytes(members)],
  ])('says that a %s is truncated, wherever it breaks off', async (_kind, bytes) => {
    for (const share of [0.3, 0.6, 0.9]) {
      const path = save(bytes.subarray(0, Math.floor(bytes.length * share)));
      const error = await dataErrorOf(() => readArchive(path, () => true));
      expect(error.kind).toBe('truncated');
      expect(error.message).toContain(`reading archive ${path}`);
      expect(error.message).toContain('The archive is truncated: fetch it again.');
    }
  });

  it('refuses a wrong gzip checksum and a header that was changed', async () => {
    const packed = gzipSync(tarBytes(members));
    packed.writeUInt32LE(1, packed.length - 8);
    expect((await dataErrorOf(() => readArchive(save(packed), () => true))).kind).toBe('corrupt');
    const changed = tarBytes(members);
    changed.write('x', 3);
    const error = await dataErrorOf(() => readArchive(save(changed), () => true));
    expect(error.kind).toBe('corrupt');
    expect(error.message).toContain('a header with a wrong checksum');
  });

  it('refuses a size that is no number before it allocates', async () => {
    const error = await dataErrorOf(() =>
      readArchive(save(tarBytes([{ name: 'a', size: NaN }])), () => true),
    );
    expect(error.message).toContain('a member without a size');
    const huge = save(tarBytes([{ name: 'a', size: 2 ** 32 }]));
    const tooLarge = await dataErrorOf(() => readArchive(huge, () => true));
    expect(tooLarge.kind).toBe('tooLarge');
  });

  it('tells a web page, an empty file, a folder and nothing at all apart', async () => {
    const page = await dataErrorOf(() => readArchive(save(Buffer.from('<!DOCTYPE html><html>')), () => true));
    expect(page.kind).toBe('format');
    expect(page.message).toContain("got a file that begins with '<!DOCTYPE ht'");
    expect((await dataErrorOf(() => readArchive(save(new Uint8Array(0)), () => true))).kind).toBe('empty');
    const inside = join(folder.path, 'folder');
    mkdirSync(inside);
    expect((await dataErrorOf(() => readArchive(inside, () => true))).kind).toBe('unreadable');
    const none = await dataErrorOf(() => readArchive(join(folder.path, 'no'), () => true));
    expect(none.kind).toBe('missing');
  });
});
