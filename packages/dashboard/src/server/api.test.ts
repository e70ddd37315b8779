/** The API gives runs, series, logs and comparisons by id, says what is wrong in a sentence, and changes runs only where that was asked for. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeEmbeddings, writePredictions } from '@cohort-ml/runs';
import { describe, expect, test } from 'vitest';
import type {
  ComparisonDetail,
  Embeddings,
  ImageProbabilities,
  LogTail,
  MetricList,
  Predictions,
  RunDetail,
  RunList,
  SeriesList,
} from '../api/types.ts';
import { jsonOf, testApp, type Ask } from '../test/app.ts';
import { recipeText, temporaryFolder, writeRun } from '../test/folders.ts';

async function idOf(ask: Ask, name: string): Promise<string> {
  const { rows } = await jsonOf<RunList>(ask('/api/v1/runs'));
  return rows.find((row) => row.name === name)?.id ?? 'none';
}

const errorOf = async (answer: Promise<Response>): Promise<string> =>
  (await jsonOf<{ error: string }>(answer)).error;

describe('reading', () => {
  test('one run with settings, defaults, machine, advice and the command that resumes it', async () => {
    const root = temporaryFolder();
    const run = writeRun(root, { name: 'one', seed: 3, done: 2, isOpen: true });
    run.log('hello');
    run.interrupt();
    const defaults = (): Promise<unknown> => Promise.resolve({ seed: 1, train: { batchSize: 64 } });
    const { ask } = testApp(root, { knowledge: { defaults } });
    const detail = await jsonOf<RunDetail>(ask(`/api/v1/runs/${await idOf(ask, 'one')}`));
    const setting = (key: string): unknown => detail.settings.find((each) => each.key === key);
    expect(setting('train.batchSize')).toEqual({ key: 'train.batchSize', value: 64, isDefault: true });
    expect(setting('seed')).toEqual({ key: 'seed', value: 3, isDefault: false });
    expect(detail.resumeCommand).toBe(`cohort train --resume ${run.path}`);
    expect(detail.environment).toMatchObject({ cpu: 'test' });
    expect(detail.advice.map(({ level }) => level)).toEqual(['good']);
    expect(detail.advice[0]?.text).toContain('No collapse');
    expect(detail.heldOut).toEqual({ predictions: false, embeddingSteps: [] });
  });

  test('metrics and series of several runs at once', async () => {
    const root = temporaryFolder();
    writeRun(root, { name: 'one' });
    writeRun(root, { name: 'two', done: 2 });
    const { ask } = testApp(root);
    const [one, two] = [await idOf(ask, 'one'), await idOf(ask, 'two')];
    const { metrics } = await jsonOf<MetricList>(ask(`/api/v1/runs/${one}/metrics`));
    expect(metrics).toContainEqual({
      name: 'total',
      kind: 'step',
      count: 40,
      last: 0.125,
      minimum: 0.125,
      maximum: 5,
      notFinite: 0,
    });
    const { series } = await jsonOf<SeriesList>(
      ask(`/api/v1/series?runs=${one},${two}&metric=total,accuracy/ensemble&kind=epoch&x=epoch`),
    );
    expect(series.map(({ run, metric, x }) => [run === one ? 'one' : 'two', metric, x.length])).toEqual([
      ['one', 'total', 4],
      ['one', 'accuracy/ensemble', 4],
      ['two', 'total', 2],
      ['two', 'accuracy/ensemble', 2],
    ]);
  });

  test('the log by pieces', async () => {
    const root = temporaryFolder();
    const run = writeRun(root, { name: 'one', isOpen: true });
    for (let line = 0; line < 3000; line += 1) run.log(`line ${line} ${'x'.repeat(40)}`);
    run.finish({});
    const { ask } = testApp(root);
    const address = `/api/v1/runs/${await idOf(ask, 'one')}/log`;
    const tail = await jsonOf<LogTail>(ask(address));
    expect(tail.text).toContain('line 2999');
    expect(tail.text).not.toContain('line 10 ');
    let { text, start } = tail;
    while (start > 0) {
      const before = await jsonOf<LogTail>(ask(`${address}?before=${start}`));
      text = before.text + text;
      start = before.start;
    }
    expect(text).toBe(readFileSync(join(run.path, 'log.txt'), 'utf8'));
  });

  test('what the networks said about held-out images, and plainly that older runs have not recorded it', async () => {
    const root = temporaryFolder();
    const { path } = writeRun(root, { name: 'one' });
    writeRun(root, { name: 'old' });
    writePredictions(path, {
      ...{ split: 'test', epoch: 4, step: 40, classes: ['a', 'b', 'c'], networks: ['n1', 'ensemble'] },
      labels: Int32Array.of(0, 1, 2),
      predicted: [Int32Array.of(0, 2, -1), Int32Array.of(0, 1, 2)],
      confidence: [Uint8Array.of(255, 128, 0), Uint8Array.of(250, 100, 90)],
      rows: Int32Array.of(1),
      probabilities: [Uint8Array.of(51, 76, 128), Uint8Array.of(0, 255, 0)],
      names: null,
    });
    writeEmbeddings(path, {
      ...{ split: 'validation', epoch: 4, step: 40, classes: ['a', 'b', 'c'], networks: ['n1', 'n2'] },
      rows: Int32Array.of(0, 1, 2),
      labels: Int32Array.of(0, 1, 2),
      embeddings: [
        { width: 2, values: Float32Array.of(1, 0, 0, 1, -1, -1) },
        { width: 2, values: Float32Array.of(0, 2, -2, 0, 2, -2) },
      ],
    });
    const { ask } = testApp(root);
    const id = await idOf(ask, 'one');
    const found = await jsonOf<Predictions>(ask(`/api/v1/runs/${id}/predictions`));
    expect(found).toMatchObject({ images: 3, networks: ['n1', 'ensemble'], split: 'test' });
    expect([...Buffer.from(found.labels, 'base64')]).toEqual([0, 0, 1, 0, 2, 0]);
    expect(Buffer.from(found.predicted[0] ?? '', 'base64').readInt16LE(4)).toBe(-1);
    const one = await jsonOf<ImageProbabilities>(ask(`/api/v1/runs/${id}/predictions/1`));
    expect(one.probabilities?.[0]).toEqual([51 / 255, 76 / 255, 128 / 255]);
    expect(
      (await jsonOf<ImageProbabilities>(ask(`/api/v1/runs/${id}/predictions/0`))).probabilities,
    ).toBeNull();
    const embeddings = await jsonOf<Embeddings>(ask(`/api/v1/runs/${id}/embeddings`));
    // Their pictures are asked for by it.
    expect(embeddings.split).toBe('validation');
    // The second network's picture is the first one's, turned and twice as large.
    embeddings.points[1]?.forEach((value, index) => {
      expect(value).toBeCloseTo(embeddings.points[0]?.[index] ?? NaN, 3);
    });
    expect(await errorOf(ask(`/api/v1/runs/${await idOf(ask, 'old')}/predictions`))).toContain(
      'has not recorded',
    );
  });

  test('pictures through the program around it, and nothing where it has none', async () => {
    const root = temporaryFolder();
    writeRun(root, { name: 'one' });
    const asked: unknown[] = [];
    const image = (request: unknown): Promise<Uint8Array | null> => {
      asked.push(request);
      return Promise.resolve(asked.length === 1 ? Uint8Array.of(1, 2) : null);
    };
    const { ask } = testApp(root, { knowledge: { image } });
    const address = `/api/v1/runs/${await idOf(ask, 'one')}/images/5?split=test`;
    const answer = await ask(address);
    expect(answer.headers.get('content-type')).toBe('image/png');
    expect(asked).toEqual([{ recipe: recipeText({ name: 'one' }), split: 'test', index: 5 }]);
    expect((await ask(address)).status).toBe(404);
  });

  test('comparisons with their plan, report and runs', async () => {
    const root = temporaryFolder();
    const folder = join(root, 'compared');
    mkdirSync(join(folder, 'report'), { recursive: true });
    const recipe = {
      seed: 2,
      data: { dataset: 'fashion-mnist' },
      method: { name: 'dml' },
      train: { epochs: 4, batchSize: 64 },
    };
    const plan = {
      version: 1,
      name: 'compared',
      command: 'cohort compare',
      labels: ['dml'],
      seeds: [2],
      cells: [{ label: 'DML!', seed: 2, fraction: 1, recipe }],
    };
    writeFileSync(join(folder, 'comparison.json'), JSON.stringify(plan));
    writeFileSync(join(folder, 'report', 'report.json'), '{"methods": [], "baseline": "x"}');
    writeRun(folder, { name: 'dml-s2', method: 'dml', seed: 2 });
    const { ask } = testApp(root);
    const [entry] = await jsonOf<ComparisonDetail['entry'][]>(ask('/api/v1/comparisons'));
    expect(entry).toMatchObject({ name: 'compared', cells: 1, finished: 1, hasReport: true, problem: null });
    const detail = await jsonOf<ComparisonDetail>(ask(`/api/v1/comparisons/${entry?.id ?? ''}`));
    expect(detail.report).toEqual({ methods: [], baseline: 'x' });
    expect(detail.runs).toMatchObject([{ label: 'DML!', seed: 2 }]);
  });

  test('mistakes in a request are said in a sentence', async () => {
    const { ask } = testApp(temporaryFolder());
    expect(await errorOf(ask('/api/v1/runs/123'))).toContain('no run with the id');
    expect(await errorOf(ask('/api/v1/series?x=day'))).toContain('Give one of step, epoch, time');
    expect(await errorOf(ask('/api/v1/series?points=1e9'))).toContain('points');
    expect(await errorOf(ask('/api/v9/runs'))).toContain('version 1');
    expect(await errorOf(ask('/api/v1/nothing'))).toContain('no such address');
  });
});

describe('changing', () => {
  const send = (method: string, body: unknown): RequestInit => ({
    method,
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', origin: 'http://localhost:1' },
  });

  test('is refused by a dashboard that was not started for it', async () => {
    const root = temporaryFolder();
    const { path } = writeRun(root, { name: 'one' });
    const { ask } = testApp(root);
    const id = await idOf(ask, 'one');
    expect(await errorOf(ask(`/api/v1/runs/${id}`, send('PATCH', { name: 'two' })))).toContain('--edit');
    expect((await ask(`/api/v1/runs/${id}`, send('DELETE', { folder: 'x' }))).status).toBe(403);
    expect(existsSync(path)).toBe(true);
  });

  test('renames, notes, tags and archives, and keeps what it does not know', async () => {
    const root = temporaryFolder();
    const { path } = writeRun(root, { name: 'one' });
    writeFileSync(join(path, 'annotations.json'), '{"later": 1}');
    const { ask } = testApp(root, { canEdit: true });
    const address = `/api/v1/runs/${await idOf(ask, 'one')}`;
    const edit = { name: '<b>zwei</b> 二', note: 'a\nb', tags: [' x ', 'x', ''], archived: true };
    expect((await ask(address, send('PATCH', edit))).status).toBe(200);
    expect((await jsonOf<RunDetail>(ask(address))).row).toMatchObject({
      name: '<b>zwei</b> 二',
      note: 'a\nb',
      tags: ['x'],
      archived: true,
    });
    expect(JSON.parse(readFileSync(join(path, 'annotations.json'), 'utf8'))).toMatchObject({
      later: 1,
      version: 1,
    });
    expect(await errorOf(ask(address, send('PATCH', { colour: 'red' })))).toContain('colour');
    expect(await errorOf(ask(address, { method: 'PATCH', body: '{}' }))).toContain('application/json');
  });

  test('deletes only what is named, and never a run that is being written', async () => {
    const root = temporaryFolder();
    const { path } = writeRun(root, { name: 'one' });
    const live = writeRun(root, { name: 'live', done: 1, isOpen: true });
    const { ask } = testApp(root, { canEdit: true });
    const [one, running] = [await idOf(ask, 'one'), await idOf(ask, 'live')];
    expect(await errorOf(ask(`/api/v1/runs/${one}`, send('DELETE', { folder: 'other' })))).toContain(
      'to confirm',
    );
    const refused = await ask(
      `/api/v1/runs/${running}`,
      send('DELETE', { folder: live.path.split('/').at(-1) }),
    );
    expect(refused.status).toBe(409);
    expect(await errorOf(ask(`/api/v1/runs/${running}`, send('PATCH', { note: 'x' })))).toContain(
      'is writing it',
    );
    expect(
      (await ask(`/api/v1/runs/${one}`, send('DELETE', { folder: path.split('/').at(-1) }))).status,
    ).toBe(200);
    expect(existsSync(path)).toBe(false);
    expect(existsSync(live.path)).toBe(true);
    expect((await ask(`/api/v1/runs/${one}`)).status).toBe(404);
    live.finish({});
  });
});

test('events tell a reader that comes back that it is behind', async () => {
  const root = temporaryFolder();
  writeRun(root, { name: 'one' });
  const { ask, context } = testApp(root);
  const seen = context.catalogue.revision - 1;
  const answer = await ask('/api/v1/events', { headers: { 'last-event-id': String(seen) } });
  expect(answer.headers.get('content-type')).toContain('text/event-stream');
  const reader = answer.body?.getReader();
  let text = '';
  while (!text.includes('event: change')) {
    const part = await reader?.read();
    if (part?.value === undefined) break;
    text += new TextDecoder().decode(part.value);
  }
  await reader?.cancel();
  expect(text).toContain(`id: ${context.catalogue.revision}`);
  expect(text).toContain(`"revision":${context.catalogue.revision}`);
});

test('files of an exported network are those that its manifest names', async () => {
  const root = temporaryFolder();
  const { path } = writeRun(root, { name: 'one' });
  mkdirSync(join(path, 'export', 'onnx'), { recursive: true });
  const manifest = {
    format: 'cohort-export',
    labels: ['a'],
    models: [
      { precision: 'float32', path: 'onnx/model.onnx', bytes: 3 },
      { precision: 'int8', path: '../run.json', bytes: 1 },
    ],
    files: { '/etc/passwd': {} },
  };
  writeFileSync(join(path, 'export', 'cohort.json'), JSON.stringify(manifest));
  writeFileSync(join(path, 'export', 'onnx', 'model.onnx'), 'abc');
  writeFileSync(join(path, 'export', 'other.txt'), 'no');
  const { ask } = testApp(root);
  const id = await idOf(ask, 'one');
  const detail = await jsonOf<RunDetail>(ask(`/api/v1/runs/${id}`));
  const base = `/api/v1/runs/${id}/exports/${detail.exports[0]?.id ?? ''}`;
  expect(await (await ask(`${base}/onnx/model.onnx`)).text()).toBe('abc');
  expect((await ask(`${base}/cohort.json`)).status).toBe(200);
  for (const other of ['other.txt', '..%2Frun.json', 'onnx', '%2Fetc%2Fpasswd']) {
    expect((await ask(`${base}/${other}`)).status).toBe(404);
  }
});
