/**
 * The one-way rule: a layer of packages/cohort imports from the layers before it, never from those after it, and no imports
 * form a cycle. `npm run check` enforces it. A new folder gets its place in this list.
 */
const layers = [
  'support',
  'losses',
  'models',
  'weights',
  'data',
  'topology',
  'methods',
  'recipes',
  'progress',
  'checkpoints',
  'cohort',
  'evaluate',
  'train',
  'inference',
  'transfer',
  'export',
  'compare',
  'doctor',
  'launch',
  'cli',
];
const folder = (name) => `^packages/cohort/src/${name}/`;
const allowed = {
  errors: [],
  torch: ['errors'],
  runs: ['errors'],
  runtime: [],
  cohort: ['errors', 'torch', 'runs', 'runtime', 'dashboard'],
  dashboard: ['errors', 'runs', 'runtime'],
  bench: ['errors', 'torch', 'runs', 'cohort', 'runtime'],
};

module.exports = {
  forbidden: [
    {
      name: 'no-cycles',
      comment: 'Files that import each other cannot be understood one at a time.',
      severity: 'error',
      from: {},
      to: { circular: true },
    },
    ...layers.slice(0, -1).map((layer, index) => ({
      name: `${layer}-imports-upward`,
      comment: 'A layer must not know those that are built on it. Move what both need down.',
      severity: 'error',
      from: { path: folder(layer) },
      to: { path: `^packages/cohort/src/(${layers.slice(index + 1).join('|')})/` },
    })),
    {
      name: 'unknown-layer',
      comment: 'Give a new folder its place in the list of layers in .dependency-cruiser.cjs.',
      severity: 'error',
      from: {},
      to: { path: '^packages/cohort/src/[^/]+/', pathNot: folder(`(${[...layers, 'test'].join('|')})`) },
    },
    ...Object.entries(allowed).map(([name, others]) => ({
      name: `${name}-imports-another-package`,
      comment: 'Packages depend on each other in one direction.',
      severity: 'error',
      from: { path: `^packages/${name}/src/` },
      to: { path: '^packages/[^/]+/', pathNot: `^packages/(${[name, ...others].join('|')})/` },
    })),
  ],
  options: {
    tsConfig: { fileName: 'tsconfig.check.json' },
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    // Test helpers stand outside of the layers.
    exclude: { path: '(^|/)(dist|build|generated)/|\\.test\\.ts$|/src/test/|/testing[^/]*(\\.ts$|/)' },
  },
};
