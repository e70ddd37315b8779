/** The files of the exported page, and the page as one HTML file that opens from disk. For Node only. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { MissingFileError } from '../errors.ts';
import { isFields } from '../classifier/fields.ts';
import { readManifest, type Manifest } from '../classifier/manifest.ts';
import { readTaskManifest, type TaskManifest } from '../tasks/taskManifest.ts';

/** Both from `src` and from `dist`, the built page lies here. */
const built = new URL('../../dist/page/', import.meta.url);

/** Scripts of a task: its page, `${page}-page.js`, and its module for other pages, `${name}.js` with the folder of that name. */
type ScriptName = 'classifier' | 'detector' | 'segmenter';
type PageName = ScriptName | 'two-stage';

function scriptOf(manifest: Manifest | TaskManifest | null): ScriptName {
  if (manifest === null || manifest.format === 'cohort-export') return 'classifier';
  return manifest.task.name === 'segmentation' ? 'segmenter' : 'detector';
}

/** Two-stage detectors have a page of their own, with what the others do without. */
function pageOf(manifest: Manifest | TaskManifest | null): PageName {
  const hasStages = manifest?.format === 'cohort-task-export' && manifest.choice?.stages !== undefined;
  return hasStages ? 'two-stage' : scriptOf(manifest);
}

/** @throws {ModelFileError} where it is none that `cohort export` writes */
function readAny(manifest: unknown): Manifest | TaskManifest {
  return isFields(manifest) && manifest.format === 'cohort-task-export'
    ? readTaskManifest(manifest)
    : readManifest(manifest);
}

/**
 * The page's files by their path in the exported folder, to be written next to `cohort.json`: `index.html`, `page.css`, `page.js`, and
 * the runtime for other pages (`classifier.js`, `detector.js` or `segmenter.js`) with what it loads only where it is needed.
 *
 * @param manifest the content of `cohort.json`; without it, the page is a classifier's and fetches the model a little later
 * @throws {ModelFileError} for a manifest that `cohort export` does not write
 * @throws {MissingFileError} where the package was not built
 */
export async function pageFiles(manifest?: unknown): Promise<Record<string, Uint8Array>> {
  const known = manifest === undefined ? null : readAny(manifest);
  const name = scriptOf(known);
  const html = new TextDecoder().decode(await readBuilt('index.html'));
  const page = {
    'index.html': new TextEncoder().encode(known === null ? html : withPreload(html, known)),
    'page.css': await readBuilt('page.css'),
    'page.js': await readBuilt(`${pageOf(known)}-page.js`),
  };
  const modules = [`${name}.js`, ...(await listBuilt(name)).map((file) => `${name}/${file}`)];
  const contents = modules.map(async (path): Promise<[string, Uint8Array]> => [path, await readBuilt(path)]);
  return { ...page, ...Object.fromEntries(await Promise.all(contents)) };
}

/** The model that the page begins with is fetched while its script is still on its way. */
function withPreload(html: string, { models }: Manifest | TaskManifest): string {
  const [smallest] = [...models].sort((a, b) => a.bytes - b.bytes);
  if (smallest === undefined) return html;
  const address = encodeURI(smallest.path).replaceAll('&', '&amp;').replaceAll('"', '&quot;');
  const link = `<link rel="preload" href="${address}" as="fetch" crossorigin />`;
  return replaceOnce(html, [[/(?=<link rel="stylesheet")/, `${link}\n    `]]);
}

async function listBuilt(folder: string): Promise<string[]> {
  try {
    return (await readdir(new URL(`${folder}/`, built))).sort();
  } catch {
    throw notBuilt(folder);
  }
}

async function readBuilt(name: string): Promise<Uint8Array> {
  try {
    return await readFile(new URL(name, built));
  } catch {
    throw notBuilt(name);
  }
}

function notBuilt(name: string): MissingFileError {
  return new MissingFileError(name, 'the page of @cohort-ml/runtime is not built, run `npm run build`');
}

/** What a single file holds. */
export interface SingleFileContent {
  /** The content of `cohort.json`. */
  readonly manifest: unknown;
  /** Model files by their path in the manifest; one is enough. */
  readonly files: Readonly<Record<string, Uint8Array>>;
}

/**
 * One HTML file with the page, the runtime and the network, which opens from disk without a server. Its
 * Content-Security-Policy allows exactly the script and style inside.
 */
export async function buildSingleFile({ manifest, files }: SingleFileContent): Promise<string> {
  const decoder = new TextDecoder();
  const css = decoder.decode(await readBuilt('page.css'));
  const page = await readBuilt(`${pageOf(readAny(manifest))}-page.js`);
  const script = decoder.decode(page).replaceAll('</script', '<\\/script');
  const encoded = Object.fromEntries(
    Object.entries(files).map(([path, bytes]) => [path, Buffer.from(bytes).toString('base64')]),
  );
  // `<` never appears in the JSON, so that nothing in it can end the element.
  const json = JSON.stringify({ manifest, files: encoded }).replaceAll('<', '\\u003c');
  const policy = [
    `default-src 'none'`,
    `script-src '${digest(script)}' 'wasm-unsafe-eval'`,
    `style-src '${digest(css)}'`,
    'img-src blob: data:',
    'media-src blob: mediastream:',
    `base-uri 'none'`,
    `form-action 'none'`,
  ].join('; ');
  return replaceOnce(decoder.decode(await readBuilt('index.html')), [
    [/content="default-src[^"]*"/, `content="${policy}"`],
    [/\s*<link rel="preload"[^>]*>/, ''],
    [/<link rel="stylesheet"[^>]*>/, `<style>${css}</style>`],
    [/\s*<script src="page.js"[^>]*><\/script>/, ''],
    [
      /<\/body>/,
      `<script type="application/json" id="export">${json}</script>\n<script>${script}</script>\n</body>`,
    ],
  ]);
}

function digest(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

function replaceOnce(text: string, replacements: readonly (readonly [RegExp, string])[]): string {
  return replacements.reduce((result, [pattern, replacement]) => {
    if (!pattern.test(result)) throw new Error(`The page has no ${pattern.source}.`);
    return result.replace(pattern, () => replacement);
  }, text);
}
