/** Reading the folders answers every query as the store does. */
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { stepRecord, temporaryFolder, testRun } from '../testing.ts';
import { openStore, parseCondition, queryFolders } from './index.ts';
import type { RunQuery } from './queries.ts';

function makeRuns(root: string): void {
  for (const [index, name] of ['alpha', 'beta [1]', 'alphabet'].entries()) {
    const method = index === 1 ? 'dml' : 'mcl';
    const writer = testRun(root, {
      name,
      recipe: `seed: 7\ndata: { dataset: cifar10 }\nnetworks: [{ model: resnet8 }]\nmethod: { name: ${method} }\ntrain: { epochs: 4 }\n`,
      now: () => new Date(Date.UTC(2026, 2, 1 + index)),
    });
    writer.metrics(stepRecord(1));
    for (const epoch of [1, 2]) {
      const values = {
        total: index === 2 ? NaN : 3 - epoch + index,
        'accuracy/a': 0.5 + epoch / 10 - index / 10,
        'accuracy/b': 0.4,
        'accuracy/ensemble': 0.99,
      };
      writer.metrics({ kind: 'epoch', step: epoch * 10, epoch, timeMs: (3 - index) * 1000 * epoch, values });
    }
    if (index === 0) writer.finish({});
    else rmSync(join(writer.path, 'lock.json'), { force: true });
  }
}

const queries: RunQuery[] = [
  {},
  { states: ['stopped'] },
  { name: 'alpha*' },
  { name: 'beta [1]' },
  { method: 'dml' },
  { dataset: 'mnist' },
  { since: new Date(Date.UTC(2026, 2, 2)) },
  { best: [parseCondition('accuracy>65%')] },
  { best: [parseCondition('total<1.5')] },
  { last: [parseCondition('total<=2')] },
  { last: [parseCondition('accuracy/ensemble>0.98')] },
  { sort: 'name' },
  { sort: 'duration', reverse: true },
  { sort: 'total' },
  { sort: 'accuracy', limit: 2 },
];

test('the same runs, in the same order, with the same facts', () => {
  const root = temporaryFolder();
  makeRuns(root);
  const store = openStore(root);
  store.sync();
  for (const query of queries) {
    const expected = store.runs(query);
    expect(queryFolders(root, query), JSON.stringify(query)).toEqual({ runs: expected, unreadable: [] });
  }
  expect(store.runs(queries[7]).length).toBeGreaterThan(0);
  expect(store.runs(queries[7]).length).toBeLessThan(3);
  store.close();
});
