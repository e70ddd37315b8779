/**
 * Installs the packed packages into an empty project outside the repository and uses them there as a user would: set-up,
 * training, export, classification, and a TypeScript program. Run by `npm run test:package` after `npm run setup`. With
 * `--reuse-build` the engine of the repository, which is of the same sources, stands in for one that `cohort setup` compiles.
 */
import { execFileSync } from 'node:child_process';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import sharp from 'sharp';
import { findLibTorch } from '../packages/torch/scripts/findLibTorch.mjs';
import { packPackages } from './packPackages.mjs';

const root = fileURLToPath(new URL('..', import.meta.url));
const project = mkdtempSync(join(tmpdir(), 'cohort package test '));
const reusesBuild = process.argv.includes('--reuse-build');
const begin = performance.now();

const engineCache = join(project, 'engine');

const usual = {
  ...process.env,
  NO_COLOR: '1',
  OMP_NUM_THREADS: '1',
  COHORT_ENGINE_CACHE: engineCache,
  ...(reusesBuild ? { COHORT_ENGINE_BUILD: 'never' } : {}),
};
/** A machine that has no LibTorch, no built engine and no compiler. */
const withoutEngine = {
  ...usual,
  LIBTORCH: join(project, 'no-libtorch'),
  CXX: 'no-compiler',
  COHORT_ENGINE_CACHE: join(project, 'no-engine'),
  COHORT_ENGINE_BUILD: 'always',
};

function runWith(env, command, ...parameters) {
  return execFileSync(command, parameters, {
    cwd: project,
    encoding: 'utf8',
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
}
const run = (...parameters) => runWith(usual, ...parameters);
const command = join(project, 'node_modules', '.bin', 'cohort');
const cohort = (...parameters) => run(command, ...parameters);

function assert(condition, message) {
  if (!condition) throw new Error(message);
}

function step(title) {
  console.log(`${Math.round((performance.now() - begin) / 1000)} s: ${title}`);
}

async function rememberOwnBuild() {
  const installed = join(project, 'node_modules', '@cohort-ml', 'torch');
  const { rememberEngine, stampOf } = await import(join(installed, 'dist/setup/engineCache.js'));
  const { libDirs, version } = findLibTorch();
  const ending = process.platform === 'darwin' ? 'dylib' : 'so';
  const library = stampOf(realpathSync(join(libDirs[0], `libtorch_cpu.${ending}`)));
  const addon = join(root, 'packages/torch/build/cohort_torch.node');
  const variables = { ...process.env, COHORT_ENGINE_CACHE: engineCache };
  rememberEngine(
    installed,
    { addon, libtorch: version, compiler: 'that of the repository', library },
    variables,
  );
}

/** Dark and bright pictures: two classes that any network can tell apart. */
async function writeImages() {
  for (const [name, level] of [
    ['dark', 40],
    ['bright', 210],
  ]) {
    mkdirSync(join(project, 'photos', name), { recursive: true });
    for (let index = 0; index < 16; index += 1) {
      const background = { r: level + index, g: level, b: level - index };
      await sharp({ create: { width: 32, height: 32, channels: 3, background } })
        .png()
        .toFile(join(project, 'photos', name, `${index}.png`));
    }
  }
}

const program = `
import { listRuns } from '@cohort-ml/runs';
import { createClassifier } from '@cohort-ml/runtime';
import { tensor } from '@cohort-ml/torch';
import { loadRecipe } from 'cohort-ml';

const sum: number = tensor([1, 2, 3]).sum().item();
const recipe = loadRecipe('demo');
const classifier = await createClassifier('./exported/');
const [best] = await classifier.classify('photos/bright/3.png', { top: 1 });
console.log(JSON.stringify({ sum, networks: recipe.networks.length, label: best?.label, runs: typeof listRuns }));
`;

/** What must work where there is no LibTorch; `failure` is what a tensor says there. */
const programWithoutEngine = `
import { exportDashboard, startDashboard } from '@cohort-ml/dashboard';
import { listRuns } from '@cohort-ml/runs';
import { createClassifier } from '@cohort-ml/runtime';
import { tensor } from '@cohort-ml/torch';

const dashboard = await startDashboard({ root: 'runs', host: '127.0.0.1', port: 0, token: null, canEdit: false, version: '' });
const page = await (await fetch(dashboard.url)).text();
await dashboard.close();
const written = await exportDashboard({ root: 'runs', target: 'runs.html', select: [], version: '' });
const classifier = await createClassifier('./exported/');
const [best] = await classifier.classify('photos/dark/3.png', { top: 1 });
let failure = '';
try {
  tensor([1]);
} catch (error) {
  failure = error.message;
}
console.log(JSON.stringify({
  label: best.label, pageRuns: written.runs, isPage: page.includes('<script'), runs: typeof listRuns, failure,
}));
`;

try {
  const tarballs = packPackages(join(project, 'tarballs'));
  for (const { name, files } of tarballs) {
    const unwanted = files.filter((path) =>
      /\.test\.|(^|\/)test(ing[^/]*)?(\/|\.)|fixtures|\.map$|tsbuildinfo/.test(path),
    );
    assert(unwanted.length === 0, `${name} packs files that nobody needs: ${unwanted.join(', ')}`);
    for (const needed of ['README.md', 'LICENSE', 'package.json']) {
      assert(files.includes(needed), `${name} does not pack ${needed}`);
    }
  }
  step('packed');
  writeFileSync(join(project, 'package.json'), '{ "private": true, "type": "module" }');
  // Scripts are not run, as in projects that forbid them.
  const quiet = ['--ignore-scripts', '--prefer-offline', '--no-audit', '--no-fund', '--loglevel=error'];
  run('npm', 'install', ...quiet, ...tarballs.map(({ path }) => path));
  step('installed');
  if (reusesBuild) await rememberOwnBuild();
  else
    assert(cohort('setup').includes('Ready: LibTorch'), 'cohort setup did not say that the engine is ready');
  step(reusesBuild ? "took the repository's engine" : 'set up');
  assert(
    /\((\S+, )*demo(, \S+)*\)/.test(cohort('train', '--help')),
    'cohort train --help does not list the packed recipes',
  );
  assert(cohort('models').includes('resnet20'), 'cohort models lists no resnet20');
  await writeImages();
  cohort(
    'train', 'photos', 'train.epochs=1', 'train.batchSize=8', 'networks=[{ model: resnet8 }, { model: resnet8 }]',
    'runs=runs', '--quiet',
  ); // prettier-ignore
  const runName = readdirSync(join(project, 'runs')).find((name) =>
    existsSync(join(project, 'runs', name, 'recipe.yaml')),
  );
  assert(runName !== undefined, 'training left no run folder');
  step('trained');
  cohort('export', join('runs', runName), '--out', 'exported');
  step('exported');
  writeFileSync(join(project, 'program.ts'), program);
  const options = [
    '--strict',
    '--module',
    'nodenext',
    '--target',
    'es2022',
    '--lib',
    'es2023,esnext.disposable,dom',
  ];
  const types = ['--types', 'node', '--typeRoots', join(root, 'node_modules', '@types')];
  run(process.execPath, join(root, 'node_modules/typescript/bin/tsc'), ...options, ...types, 'program.ts');
  const answer = JSON.parse(run(process.execPath, 'program.js'));
  assert(answer.sum === 6 && answer.networks >= 2, `the program answered ${JSON.stringify(answer)}`);
  assert(['dark', 'bright'].includes(answer.label), `the classifier answered ${answer.label}`);
  step('type-checked and ran a TypeScript program');
  writeFileSync(join(project, 'withoutEngine.mjs'), programWithoutEngine);
  const bare = JSON.parse(runWith(withoutEngine, process.execPath, 'withoutEngine.mjs'));
  assert(['dark', 'bright'].includes(bare.label), `without LibTorch the classifier answered ${bare.label}`);
  assert(
    bare.isPage && bare.pageRuns === 1,
    `without LibTorch the dashboard answered ${JSON.stringify(bare)}`,
  );
  assert(bare.failure.includes('npx cohort setup'), `without LibTorch a tensor said: ${bare.failure}`);
  for (const parameters of [
    ['runs', 'list', '--runs', 'runs'],
    ['methods'],
    ['train', '--help'],
    ['dashboard', '--export', 'shared.html', '--runs', 'runs'],
  ]) {
    assert(
      runWith(withoutEngine, command, ...parameters).length > 0,
      `cohort ${parameters.join(' ')} printed nothing without LibTorch`,
    );
  }
  step('used runs, exports and the dashboard without LibTorch');
} finally {
  rmSync(project, { recursive: true, force: true });
}
