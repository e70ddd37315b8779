/**
 * Builds the documentation site into docs/site/dist: the repository's Markdown pages, and an API reference from the public doc
 * comments. `npm run docs` installs what it needs and runs it; the pages request nothing from other sites.
 *
 * Pages are staged in .stage/ under their own paths, so that links between them work as in the repository. Other files that
 * pages link to (recipes, raw results, figures) are copied along. The operators of the engine are generated, and thousands:
 * typedoc.json leaves them out.
 */
import { execFileSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, posix } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const root = join(here, '../..');
const stage = join(here, '.stage');
const run = (program, ...args) =>
  execFileSync(process.execPath, [join(here, 'node_modules', program), ...args], {
    cwd: here,
    stdio: 'inherit',
  });

const isPage = (path) => /\.md$/.test(path);
const pages = execFileSync('git', ['ls-files', '-co', '--exclude-standard', '*.md'], {
  cwd: root,
  encoding: 'utf8',
})
  .split('\n')
  .filter((path) => path !== '' && existsSync(join(root, path)))
  .filter((path) => !/fixtures\/|^docs\/site\//.test(path));

const links = (text) => [...text.matchAll(/\]\(\s*([^)\s]+)/g)].map(([, link]) => link);

/** A folder that pages link to becomes a page that lists its files, unless it has a README, which is staged as its page. */
function writeFolderPage(folder) {
  const target = join(stage, folder, 'index.md');
  if (existsSync(target) || existsSync(join(root, folder, 'README.md'))) return;
  const names = readdirSync(join(root, folder)).sort();
  const rows = names.map((name) => {
    const path = posix.join(folder, name);
    const isFolder = statSync(join(root, path)).isDirectory();
    if (!isFolder && !isPage(path)) stageFile(path);
    return isFolder ? `- ${name}/` : `- [${name}](./${encodeURI(name)})`;
  });
  mkdirSync(dirname(target), { recursive: true });
  writeFileSync(target, `# ${folder}\n\n${rows.join('\n')}\n`);
}

/** Figures are assets of a page; other files are served as they are. */
function stageFile(path) {
  const target = /\.(svg|png)$/.test(path) ? join(stage, path) : join(stage, 'public', path);
  mkdirSync(dirname(target), { recursive: true });
  cpSync(join(root, path), target);
  if (/\.(svg|png)$/.test(path)) cpSync(join(root, path), join(stage, 'public', path), { recursive: true });
}

function stagePage(page) {
  const text = readFileSync(join(root, page), 'utf8');
  const target = join(stage, page.replace(/(^|\/)README\.md$/, '$1index.md'));
  mkdirSync(dirname(target), { recursive: true });
  let staged = text;
  for (const link of new Set(links(text))) {
    if (/^([a-z]+:|#)/i.test(link)) continue;
    const [path, anchor] = link.split('#');
    const file = posix.normalize(posix.join(posix.dirname(page), decodeURI(path)));
    if (!existsSync(join(root, file)))
      throw new Error(`${page} links to ${link}, which does not exist. Correct the link.`);
    if (statSync(join(root, file)).isDirectory()) {
      writeFolderPage(file);
      staged = staged.replaceAll(`](${link})`, `](/${file}/)`);
    } else if (/(^|\/)README\.md$/.test(file)) {
      const folder = file.slice(0, -'README.md'.length);
      staged = staged.replaceAll(`](${link})`, `](/${folder}${anchor === undefined ? '' : `#${anchor}`})`);
    } else if (!isPage(file)) {
      stageFile(file);
      if (!/\.(svg|png)$/.test(file)) staged = staged.replaceAll(`](${link})`, `](/${file})`);
    }
  }
  writeFileSync(target, staged);
}

/** Packages under the names that they are installed by; TypeDoc calls them by their folders. */
const packageNames = {
  'cohort/src': 'cohort-ml',
  'torch/src': '@cohort-ml/torch',
  'runs/src': '@cohort-ml/runs',
  'runtime/src': '@cohort-ml/runtime',
};

function namePackages(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) namePackages(path);
    if (!isPage(entry.name)) continue;
    let text = readFileSync(path, 'utf8');
    for (const [name, installed] of Object.entries(packageNames))
      text = text
        .replaceAll(`[${name}]`, `[${installed}]`)
        .replaceAll(`# ${name}\n`, `# ${installed}\n`)
        .replaceAll(`/ ${name}\n`, `/ ${installed}\n`);
    writeFileSync(path, text);
  }
}

rmSync(stage, { recursive: true, force: true });
mkdirSync(stage, { recursive: true });
for (const page of pages) stagePage(page);
run('typedoc/bin/typedoc', '--options', join(here, 'typedoc.json'));
namePackages(join(stage, 'api'));
run('vitepress/bin/vitepress.js', 'build', '.');
console.log(`The site is in ${join(here, 'dist')}: serve it with any static server.`);
