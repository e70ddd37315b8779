/** The files of the exported page, and the page as one HTML file that opens from disk. For Node only. */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { MissingFileError } from '../errors.ts';

/** Files of the page, by their name in the exported folder. `classifier.js` is the runtime as one module for other pages. */
export const pageFileNames = ['index.html', 'page.css', 'page.js', 'classifier.js'] as const;

/** Name of a file of the page. */
export type PageFileName = (typeof pageFileNames)[number];

/** Both from `src` and from `dist`, the built page lies here. */
const built = new URL('../../dist/page/', import.meta.url);

/**
 * Content of the page's files, to be written next to `cohort.json`.
 *
 * @throws {MissingFileError} where the package was not built
 */
export async function pageFiles(): Promise<Record<PageFileName, Uint8Array>> {
  const [html, css, script, module] = await Promise.all(pageFileNames.map(readBuilt));
  const none = new Uint8Array();
  return {
    'index.html': html ?? none,
    'page.css': css ?? none,
    'page.js': script ?? none,
    'classifier.js': module ?? none,
  };
}

async function readBuilt(name: string): Promise<Uint8Array> {
  try {
    return await readFile(new URL(name, built));
  } catch {
    throw new MissingFileError(name, 'the page of @cohort-ml/runtime is not built, run `npm run build`');
  }
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
  const page = await pageFiles();
  const decoder = new TextDecoder();
  const css = decoder.decode(page['page.css']);
  const script = decoder.decode(page['page.js']).replaceAll('</script', '<\\/script');
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
  return replaceOnce(decoder.decode(page['index.html']), [
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
