/**
 * What watching costs a training: readers of the dashboard come and go in turns while a training writes, and its step times
 * with and without them are compared; beside that, the processor time that the dashboard itself took.
 * Usage: node benchmarks/dashboardLoad.mjs [readers=20] [rounds=6] [secondsPerTurn=15]
 */
/* global AbortController, fetch */
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync, existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const [readers = 20, rounds = 6, seconds = 15] = process.argv.slice(2).map(Number);
const program = fileURLToPath(new URL('../packages/cohort/bin/cohort.js', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'cohort-load-'));

const training = spawn(
  process.execPath,
  [
    program,
    ...['train', 'demo', '--quiet', 'train.epochs=100000', 'train.evaluateEveryEpochs=100000'],
    ...['data.trainImages=1000', 'engine.threads=1', `runs=${folder}`],
  ],
  { stdio: 'ignore' },
);
const dashboard = spawn(process.execPath, [program, 'dashboard', '--runs', folder, '--port', '0'], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
// As cohort train --dashboard does.
const { setPriority } = await import('node:os');
setPriority(dashboard.pid, 10);
const url = await new Promise((resolve) => {
  dashboard.stdout.on('data', (chunk) => {
    const found = /http:\/\/\S+/.exec(String(chunk));
    if (found !== null) resolve(found[0]);
  });
});

/** Processor seconds of the dashboard so far. */
function processorSeconds() {
  const fields = readFileSync(`/proc/${dashboard.pid}/stat`, 'utf8').split(') ')[1].split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** One reader: it follows events, and asks for the table and two charts whenever something has changed. */
async function read(signal) {
  const ask = async (path) => (await fetch(`${url}api/v1/${path}`, { signal })).json();
  const first = await ask('runs');
  const run = first.rows[0].id;
  let { revision } = first;
  const response = await fetch(`${url}api/v1/events`, { signal });
  for await (const chunk of response.body) {
    if (!String(Buffer.from(chunk)).includes('event: change')) continue;
    revision = (await ask(`runs?since=${revision}`)).revision;
    await ask(`series?runs=${run}&metric=total&kind=step&points=800`);
    await ask(`series?runs=${run}&metric=classification,vcl,icl&kind=epoch&points=800`);
  }
}

const metricsPath = () => {
  const name = readdirSync(folder).find((each) => existsSync(join(folder, each, 'metrics.jsonl')));
  return name === undefined ? null : join(folder, name, 'metrics.jsonl');
};
while (metricsPath() === null || readFileSync(metricsPath(), 'utf8').length < 20_000) await wait(500);
const started = Date.parse(JSON.parse(readFileSync(join(metricsPath(), '..', 'run.json'), 'utf8')).startedAt);
const turns = [];
for (let turn = 0; turn < 2 * rounds; turn += 1) {
  const isWatched = turn % 2 === 1;
  const stop = new AbortController();
  const all = isWatched
    ? Array.from({ length: readers }, () => read(stop.signal).catch(() => undefined))
    : [];
  const [begin, processor] = [Date.now(), processorSeconds()];
  await wait(seconds * 1000);
  turns.push({
    isWatched,
    begin: begin - started,
    end: Date.now() - started,
    processor: processorSeconds() - processor,
  });
  stop.abort();
  await Promise.all(all);
}
await wait(3000);
training.kill('SIGTERM');
await new Promise((resolve) => training.once('exit', resolve));
const times = readFileSync(metricsPath(), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('{"kind":"step"'))
  .map((line) => JSON.parse(line).timeMs);
dashboard.kill();
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)];
const of = (isWatched) => {
  const own = turns.filter((turn) => turn.isWatched === isWatched);
  const steps = times.flatMap((time, index) =>
    index > 0 && own.some(({ begin, end }) => time > begin + 1000 && time < end)
      ? [time - times[index - 1]]
      : [],
  );
  const share =
    own.reduce((sum, { processor, begin, end }) => sum + processor / ((end - begin) / 1000), 0) / own.length;
  return { steps: steps.length, medianMs: median(steps), processorShare: share };
};
const [alone, watched] = [of(false), of(true)];
console.log(
  JSON.stringify(
    { readers, rounds, seconds, alone, watched, growth: watched.medianMs / alone.medianMs - 1 },
    null,
    1,
  ),
);
rmSync(folder, { recursive: true, force: true });
