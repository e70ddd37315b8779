/** Test help: a program that stands in for `cohort train`, so that children can be started, stopped and counted in no time. */

/**
 * JavaScript to be written next to the folders `calls` and `runs/children`. It writes run folders as `cohort train` does and
 * behaves as `behaviour-NAME` says: fail, die, be silent, wait for a second one, wait until it is stopped, or refuse to resume a run.
 */
export const fakeTraining = String.raw`
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';

const folder = dirname(fileURLToPath(import.meta.url));
const [, , command, first, second] = process.argv;
if (command !== 'train' || !process.argv.includes('--json')) throw new Error('unexpected arguments');
const isResume = first === '--resume';
const name = isResume ? basename(second) : /^name: (.*)$/m.exec(readFileSync(first, 'utf8'))[1];
const threads = isResume ? '' : /^ {2}threads: (.*)$/m.exec(readFileSync(first, 'utf8'))[1];
const calls = join(folder, 'calls');
const call = isResume ? '--resume ' + name : name + ' threads ' + threads;
writeFileSync(join(calls, String(readdirSync(calls).length).padStart(3, '0') + '-' + name), call);
const behaviourFile = join(folder, 'behaviour-' + name);
const behaviour = existsSync(behaviourFile) ? readFileSync(behaviourFile, 'utf8') : '';

const run = join(folder, 'runs', 'children', name);
mkdirSync(run, { recursive: true });
if (!isResume) writeFileSync(join(run, 'recipe.yaml'), readFileSync(first));
const write = (file, content) => writeFileSync(join(run, file), JSON.stringify(content));
const info = (status, failure = null) =>
  write('run.json', {
    ...{ schemaVersion: 1, id: name, name, status, startedAt: '2026-01-01T00:00:00.000Z' },
    ...{ endedAt: '2026-01-01T00:01:00.000Z', command: 'a test', failure },
  });
const end = (code, line) => {
  console.log(line);
  process.exit(code);
};

const present = join(folder, 'present-' + process.pid);
writeFileSync(present, '');
process.on('exit', () => rmSync(present, { force: true }));
console.error('epoch 1/2');
const waiting = () => readdirSync(folder).filter((each) => each.startsWith('waiting-')).length;
if (behaviour === 'pair') {
  writeFileSync(join(folder, 'waiting-' + name), '');
  while (waiting() < 2) await sleep(5);
}
const together = readdirSync(folder).filter((each) => each.startsWith('present-')).length;
writeFileSync(join(folder, 'together-' + together), '');

if (behaviour === 'fail') {
  info('failed', 'The loss became NaN.');
  end(1, JSON.stringify({ status: 'failed', error: { message: 'The loss became NaN.' } }));
}
if (behaviour === 'die') process.kill(process.pid, 'SIGKILL');
if (behaviour === 'silent') end(1, 'no JSON');
if (behaviour === 'refuse' && isResume) {
  end(1, JSON.stringify({ status: 'failed', error: { message: 'The code has changed.' } }));
}
if (behaviour === 'wait') {
  process.on('SIGINT', () => {
    info('interrupted');
    end(130, JSON.stringify({ status: 'interrupted' }));
  });
  writeFileSync(join(folder, 'waiting-' + name), '');
  await sleep(60_000);
}
const score = {
  ...{ accuracy: 0.5, topFiveAccuracy: 1, negativeLogLikelihood: 1.5, expectedCalibrationError: 0.1 },
};
write('environment.json', { node: process.version });
write('summary.json', {
  ...{ epochs: 2, steps: 4, seconds: 1, imagesPerSecond: 40, trainingParameters: 0, peakMemoryBytes: 1000 },
  networks: ['resnet8-1', 'resnet8-2'].map((each) => ({
    ...{ name: each, parameters: 10, multiplyAdds: 100, validation: score, test: score },
  })),
  ensemble: { validation: score, test: score },
});
writeFileSync(join(run, 'metrics.jsonl'), '');
info('finished');
end(0, JSON.stringify({ status: 'finished' }));
`;
