/** Finds what may be the classes in the names of unsorted images (`cat.0.jpg`), to help whoever has to sort them. */
import { countOf, firstNames } from '../listing.ts';

/** More beginnings than this are no classes. */
const MOST = 50;

/** A sentence with the beginnings that the names share, and a blank; empty where they share none. */
export function fileNameHint(paths: readonly string[]): string {
  const counts = new Map<string, number>();
  for (const path of paths) {
    const stem = path.replace(/^.*[/\\]/, '').replace(/\.[^.]*$/, '');
    const [beginning = ''] = /^\p{L}+(?:[ _-]?\p{L}+)*/u.exec(stem) ?? [];
    counts.set(beginning, (counts.get(beginning) ?? 0) + 1);
  }
  const found = [...counts].filter(([beginning, count]) => beginning !== '' && count > 1);
  if (found.length < 2 || found.length > MOST) return '';
  const shown = found.map(([beginning, count]) => `${beginning} (${countOf(count, 'image')})`);
  return `Their names begin with ${firstNames(shown, 5)}, which may be the classes. `;
}
