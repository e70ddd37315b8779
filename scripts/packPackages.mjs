/** Packs every public package into a folder: `node scripts/packPackages.mjs FOLDER`, after `npm run build`. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Folders below `packages/` that are published: all but private ones. */
export function publicPackages() {
  return readdirSync(join(root, 'packages'))
    .map((name) => join(root, 'packages', name))
    .filter((folder) => existsSync(join(folder, 'package.json')))
    .map((folder) => ({ folder, manifest: JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8')) }))
    .filter(({ manifest }) => manifest.private !== true);
}

/** The compiler leaves the output of sources that were renamed or removed; it must not be published. */
function removeStaleOutput(folder) {
  const dist = join(folder, 'dist');
  if (!existsSync(dist)) throw new Error(`${folder} is not built. Run npm run build.`);
  for (const path of readdirSync(dist, { recursive: true })) {
    if (!path.endsWith('.d.ts')) continue;
    const stem = path.slice(0, -'.d.ts'.length);
    if (existsSync(join(folder, 'src', `${stem}.ts`)) || existsSync(join(folder, 'src', `${stem}.tsx`)))
      continue;
    for (const ending of ['.js', '.js.map', '.d.ts', '.d.ts.map']) {
      rmSync(join(dist, `${stem}${ending}`), { force: true });
    }
  }
}

/** Packs all public packages; returns `{ name, path, files }` of each tarball. */
export function packPackages(target) {
  mkdirSync(target, { recursive: true });
  return publicPackages().map(({ folder, manifest }) => {
    removeStaleOutput(folder);
    const output = execFileSync('npm', ['pack', '--json', '--loglevel=error', '--pack-destination', target], {
      cwd: folder,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    // The scripts before packing may print lines of their own.
    const [packed] = JSON.parse(output.slice(output.search(/^\[/m)));
    return {
      name: manifest.name,
      path: join(target, packed.filename),
      bytes: packed.size,
      files: packed.files.map((file) => file.path),
    };
  });
}

if (process.argv[1] !== undefined && realpathSync(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const target = process.argv[2];
  if (target === undefined) throw new Error('usage: node scripts/packPackages.mjs FOLDER');
  for (const { name, path, bytes, files } of packPackages(target)) {
    console.log(`${name}: ${path} (${Math.round(bytes / 1024)} KiB, ${files.length} files)`);
  }
}
