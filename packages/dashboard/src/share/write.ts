/** Writes a page with its data so that a browser opens it from the disk: one file, or a folder. */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { extname, join, resolve } from 'node:path';
import { makeFolders, RunError, writeFileAtomic } from '@cohort-ml/runs';
import type { SharedData } from '../api/shared.ts';

const TITLE = 'Cohort dashboard';

/** The page's built parts. */
export interface SharedPage {
  readonly script: string;
  readonly style: string;
}

/** @throws RunError where the page is not built */
export function readSharedPage(folder: string): SharedPage {
  const [script, style] = [join(folder, 'page.js'), join(folder, 'page.css')];
  if (!existsSync(script) || !existsSync(style)) {
    throw new RunError('missing', folder, `cannot export the dashboard: its page is not built in ${folder}`, {
      remedy: 'Run npm run setup in the folder of the repository.',
    });
  }
  return { script: readFileSync(script, 'utf8'), style: readFileSync(style, 'utf8') };
}

/** The page as one file: nothing in it can load anything, or send anything anywhere. */
export function sharedHtml(data: SharedData, { script, style }: SharedPage): string {
  // A closing tag inside a script would end it.
  const safeScript = script.replaceAll('</script', String.raw`<\/script`);
  const hash = createHash('sha256').update(safeScript).digest('base64');
  const policy = `default-src 'none'; script-src 'sha256-${hash}'; style-src 'unsafe-inline'; img-src data: blob:; base-uri 'none'; form-action 'none'`;
  return [
    ...head(),
    `<meta http-equiv="Content-Security-Policy" content="${policy}">`,
    `<style>${style}</style>`,
    '</head>',
    '<body>',
    '<div id="page"></div>',
    `<script type="application/json" id="data">${embeddable(data)}</script>`,
    `<script>${safeScript}</script>`,
    ...tail(),
  ].join('\n');
}

/**
 * Writes a file where the path ends in `.html`, else a folder with `index.html`.
 * @returns what was written, for messages
 * @throws RunError where it cannot be written
 */
export function writeShared(
  path: string,
  data: SharedData,
  page: SharedPage,
): { path: string; bytes: number } {
  const target = resolve(path);
  const isFile = ['.html', '.htm'].includes(extname(target).toLowerCase());
  if (isFile && !(statSync(target, { throwIfNoEntry: false })?.isDirectory() ?? false)) {
    const html = sharedHtml(data, page);
    writeFileAtomic(target, html);
    return { path: target, bytes: Buffer.byteLength(html) };
  }
  makeFolders(target);
  const files: readonly (readonly [string, string])[] = [
    ['page.js', page.script],
    ['page.css', page.style],
    ['data.js', `window.cohortData = ${embeddable(data)};\n`],
    [
      'index.html',
      [
        ...head(),
        '<link rel="stylesheet" href="page.css">',
        '</head>',
        '<body>',
        '<div id="page"></div>',
        '<script src="data.js"></script>',
        '<script src="page.js"></script>',
        ...tail(),
      ].join('\n'),
    ],
  ];
  for (const [name, text] of files) writeFileAtomic(join(target, name), text);
  return {
    path: join(target, 'index.html'),
    bytes: files.reduce((sum, [, text]) => sum + Buffer.byteLength(text), 0),
  };
}

function head(): string[] {
  return [
    '<!doctype html>',
    '<html lang="en">',
    '<head>',
    '<meta charset="utf-8">',
    `<title>${TITLE}</title>`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
  ];
}

function tail(): string[] {
  return ['</body>', '</html>', ''];
}

/** JSON that ends no script, whatever is in its texts. */
function embeddable(data: SharedData): string {
  return JSON.stringify(data).replaceAll('<', String.raw`\u003c`);
}
