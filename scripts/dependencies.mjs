/**
 * Tells set-up whether node_modules holds what package-lock.json asks for, so that `npm ci`, which empties the folder
 * and needs the network, runs only when it must. `check` exits with 1 if not; `stamp` records a finished `npm ci`.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const stampPath = join(root, 'node_modules', '.cohort-setup');
const lockText = readFileSync(join(root, 'package-lock.json'), 'utf8');
const lockHash = createHash('sha256').update(lockText).digest('hex');
// Packages with native parts are chosen for these.
const machine = `${process.platform} ${process.arch} ${process.versions.modules}`;
const expected = `${lockHash} ${machine}\n`;

/** Whether this optional package is meant for the machine at hand; without a word on that, npm may leave it out. */
function isForThisMachine({ os, cpu, libc }) {
  if (os === undefined && cpu === undefined) return false;
  const usesGlibc = process.report.getReport().header.glibcVersionRuntime !== undefined;
  return (
    (os === undefined || os.includes(process.platform)) &&
    (cpu === undefined || cpu.includes(process.arch)) &&
    (libc === undefined || libc.includes(usesGlibc ? 'glibc' : 'musl'))
  );
}

/** Compares with npm's own record of what it installed, for folders that were filled by `npm install`. */
function matchesRecord() {
  const recordPath = join(root, 'node_modules', '.package-lock.json');
  if (!existsSync(recordPath)) return false;
  const wanted = JSON.parse(lockText).packages;
  const installed = JSON.parse(readFileSync(recordPath, 'utf8')).packages;
  const same = Object.entries(wanted).every(([path, entry]) => {
    if (path === '') return true;
    const actual = installed[path];
    if (actual === undefined) return entry.optional === true && !isForThisMachine(entry);
    return (
      actual.version === entry.version && actual.integrity === entry.integrity && existsSync(join(root, path))
    );
  });
  return same && Object.keys(installed).every((path) => path in wanted);
}

if (process.argv[2] === 'stamp') {
  writeFileSync(stampPath, expected);
} else {
  const stamp = existsSync(stampPath) ? readFileSync(stampPath, 'utf8') : '';
  if (stamp !== expected) {
    const ofAnotherMachine = stamp !== '' && !stamp.endsWith(` ${machine}\n`);
    if (ofAnotherMachine || !matchesRecord()) process.exit(1);
    writeFileSync(stampPath, expected);
  }
}
