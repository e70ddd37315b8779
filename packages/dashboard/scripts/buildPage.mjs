/** Builds the page for the server and for files, only where one of its sources is newer than what was built. */
import { existsSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const outputs = ['dist/web/served/index.html', 'dist/web/shared/page.js', 'dist/web/shared/page.css'];
const sources = [
  'page',
  'src/api',
  'src/embedding',
  'vite.config.ts',
  'package.json',
  '../../package-lock.json',
];

/** The newest change under a path, folders included: a file that was removed leaves its mark there. */
function newest(path) {
  const stats = statSync(path);
  if (!stats.isDirectory()) return stats.mtimeMs;
  return Math.max(stats.mtimeMs, ...readdirSync(path).map((name) => newest(join(path, name))));
}

const built = outputs.map((path) => join(root, path));
const isBuilt =
  built.every((path) => existsSync(path)) &&
  Math.min(...built.map((path) => statSync(path).mtimeMs)) >
    Math.max(...sources.map((path) => newest(join(root, path))));

if (!isBuilt) {
  const { build } = await import('vite');
  const configFile = join(root, 'vite.config.ts');
  await build({ configFile });
  await build({ configFile, mode: 'shared' });
}
