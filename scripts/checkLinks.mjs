/** `npm run check:links`: every relative link of the Markdown pages leads to a file, and every #anchor to a heading. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/** Fenced blocks and inline code hold brackets that are not links. */
const withoutCode = (text) => text.replace(/^```[\s\S]*?^```/gm, '').replace(/`[^`\n]*`/g, '');

/** Anchors as GitHub and the docs site make them: lower case, words joined by hyphens, a number where one repeats. */
function anchors(text) {
  const seen = new Map();
  return new Set(
    [...text.replace(/^```[\s\S]*?^```/gm, '').matchAll(/^#{1,6} +(.+?)\s*$/gm)].map(([, heading]) => {
      const words = heading.replace(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase();
      const anchor = words.replace(/[^\p{L}\p{N}\s_-]/gu, '').replace(/\s/g, '-');
      const count = seen.get(anchor) ?? 0;
      seen.set(anchor, count + 1);
      return count === 0 ? anchor : `${anchor}-${count}`;
    }),
  );
}

const pages = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((page) => page !== '' && existsSync(join(root, page)) && !page.includes('fixtures/'));

const problems = pages.flatMap((page) => {
  const text = readFileSync(join(root, page), 'utf8');
  const links = [...withoutCode(text).matchAll(/\]\(\s*<?([^)\s>]+)>?(?:\s+"[^"]*")?\s*\)/g)].map(
    ([, link]) => link,
  );
  return links
    .filter((link) => !/^[a-z]+:/i.test(link))
    .flatMap((link) => {
      const [path, anchor] = link.split('#');
      const target = path === '' ? page : normalize(join(dirname(page), decodeURI(path)));
      if (!existsSync(join(root, target))) return [`${page}: the link ${link} leads to no file`];
      if (anchor === undefined || !target.endsWith('.md')) return [];
      const found = anchors(readFileSync(join(root, target), 'utf8')).has(decodeURI(anchor));
      return found ? [] : [`${page}: the link ${link} leads to no heading`];
    });
});

for (const problem of problems) console.error(problem);
if (problems.length > 0) process.exitCode = 1;
