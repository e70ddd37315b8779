/** Puts files that packages share into the package in this folder before it is packed, and takes them out afterwards. */
import { cpSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const { name } = JSON.parse(readFileSync('package.json', 'utf8'));
const shared = ['LICENSE', ...(name === 'cohort-ml' ? ['recipes', 'weights'] : [])];

const action = process.argv[2];
if (action !== 'add' && action !== 'remove') throw new Error('usage: node packageFiles.mjs add|remove');
for (const entry of shared) {
  rmSync(entry, { recursive: true, force: true });
  if (action === 'add') cpSync(join(root, entry), entry, { recursive: true });
}
