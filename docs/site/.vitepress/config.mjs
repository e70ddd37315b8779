/** The documentation site: pages staged by build.mjs, offline search, no external requests. */
import { existsSync } from 'node:fs';
import { defineConfig } from 'vitepress';

const page = (text, link) => ({ text, link });

/** Only pages that were staged: a link to a missing page would lead nowhere. */
const staged = (items) =>
  items.filter(({ link }) =>
    existsSync(new URL(`../.stage${link}${link.endsWith('/') ? 'index' : ''}.md`, import.meta.url)),
  );

export default defineConfig({
  title: 'Cohort',
  description: 'Small image classifiers that teach each other, in TypeScript on LibTorch',
  srcDir: '.stage',
  outDir: 'dist',
  cleanUrls: false,
  // Files that build.mjs copied as they are: recipes, raw results.
  ignoreDeadLinks: [/\.(ya?ml|json|jsonl|csv|ts|mjs|py|sh)$/, /^\/?(LICENSE|Dockerfile)$/],
  markdown: { theme: { light: 'github-light', dark: 'github-dark' } },
  themeConfig: {
    search: { provider: 'local' },
    outline: [2, 3],
    nav: [page('Guide', '/docs/training'), page('Results', '/docs/results'), page('API', '/api/')],
    sidebar: {
      '/api/': [
        {
          text: 'API reference',
          items: staged([
            page('Packages', '/api/'),
            page('cohort-ml', '/api/cohort/src/'),
            page('@cohort-ml/torch', '/api/torch/src/'),
            page('@cohort-ml/runs', '/api/runs/src/'),
            page('@cohort-ml/runtime', '/api/runtime/src/'),
          ]),
        },
      ],
      '/': [
        {
          text: 'Use it',
          items: staged([
            page('Cohort', '/'),
            page('Install', '/docs/install'),
            page('Data', '/docs/data'),
            page('Models and weights', '/docs/models'),
            page('Training settings', '/docs/training'),
            page('Runs', '/docs/runs'),
            page('Export', '/docs/export'),
            page('Runtime', '/docs/runtime'),
            page('Dashboard', '/docs/dashboard'),
            page('Without labels', '/docs/self-supervised'),
            page('Transfer, detection and segmentation', '/docs/transfer'),
            page('Several machines', '/docs/distributed'),
          ]),
        },
        {
          text: 'Understand it',
          items: staged([
            page('The method', '/docs/method'),
            page('All methods', '/docs/methods'),
            page('Results', '/docs/results'),
            page('Performance', '/docs/performance'),
          ]),
        },
        {
          text: 'Extend it',
          items: staged([
            page('Add a method, model or data set', '/docs/extending'),
            page('The engine', '/docs/engine'),
            page('The run folder', '/docs/run-format'),
            page('Decisions', '/docs/decisions/'),
            page('Contributing', '/CONTRIBUTING'),
            page('Changes', '/CHANGELOG'),
          ]),
        },
      ],
    },
  },
});
