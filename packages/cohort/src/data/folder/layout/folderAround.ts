/** Finds the folder that was meant where a single class folder was given: the one around it, with other classes next to it. */
import { readdir } from 'node:fs/promises';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { splitNamed } from '../splitNames.ts';
import { IMAGE_ENDINGS } from '../walk.ts';

/** Folders that are looked into for images. */
const mostFolders = 50;

/** The folder around this one, if others in it hold images as well; null where none does, or where they are splits. */
export async function folderAround(folder: string): Promise<string | null> {
  const own = basename(resolve(folder));
  const around = dirname(resolve(folder));
  const siblings = (await readdir(around, { withFileTypes: true }).catch(() => []))
    .filter((entry) => entry.isDirectory() && !entry.name.startsWith('.') && entry.name !== own)
    .map(({ name }) => name);
  if ([own, ...siblings].some((name) => splitNamed(name) !== undefined)) return null;
  for (const name of siblings.slice(0, mostFolders)) {
    const files = await readdir(join(around, name)).catch(() => []);
    if (files.some((file) => IMAGE_ENDINGS.has(extname(file).slice(1).toLowerCase()))) {
      return dirname(folder) === '.' ? around : dirname(folder);
    }
  }
  return null;
}
