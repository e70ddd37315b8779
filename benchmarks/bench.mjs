/** `npm run bench`: one MCL training step, ours and plain PyTorch's, in turn; prints medians, their ratio and peak memory. */
import { spawn, spawnSync } from 'node:child_process';
import { cpus } from 'node:os';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

const rounds = 6;
const stepsPerRound = 4;
const warmupSteps = 3;
const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** A program that answers one JSON line a command. */
class Contestant {
  constructor(name, command, args) {
    this.name = name;
    this.times = [];
    this.child = spawn(command, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout })[Symbol.asyncIterator]();
  }

  async answer() {
    const { value, done } = await this.lines.next();
    if (done) throw new Error(`${this.name} ended early; its own words stand above`);
    return JSON.parse(value);
  }

  async ask(command) {
    this.child.stdin.write(`${command}\n`);
    return this.answer();
  }

  async round() {
    const { ms } = await this.ask(`step ${stepsPerRound}`);
    this.times.push(...ms);
  }

  end() {
    this.child.stdin.end('quit\n');
  }
}

/** A Python that can import torch, or undefined. */
function pythonWithTorch() {
  return [process.env.PYTHON, '/usr/bin/python3', 'python3']
    .filter(Boolean)
    .find((python) => spawnSync(python, ['-c', 'import torch'], { stdio: 'ignore' }).status === 0);
}

function quantile(values, share) {
  const sorted = [...values].sort((left, right) => left - right);
  const position = (sorted.length - 1) * share;
  const low = sorted[Math.floor(position)];
  return low + (sorted[Math.ceil(position)] - low) * (position % 1);
}

const mebibytes = (bytes) => `${Math.round(bytes / 2 ** 20)} MiB`;

function row(name, times, peak) {
  const median = quantile(times, 0.5);
  const spread = `${quantile(times, 0.25).toFixed(0)} to ${quantile(times, 0.75).toFixed(0)}`;
  return `${name.padEnd(14)}${median.toFixed(1).padStart(10)} ms${spread.padStart(16)} ms${mebibytes(peak).padStart(12)}`;
}

const isJson = process.argv.includes('--json');
const say = (text) => (isJson ? console.error(text) : console.log(text));
const contestants = [new Contestant('cohort', process.execPath, [here('mclStep.mjs')])];
const python = pythonWithTorch();
if (python) contestants.push(new Contestant('PyTorch eager', python, [here('reference/mcl_step.py')]));
else say('PyTorch is not here (apt-get install python3-torch): only our own step is timed.');

say(
  `One MCL training step: 2 x ResNet-32, batch 128, 32x32x3, float32. ${cpus()[0]?.model.trim()}, ${cpus().length} cores, ${new Date().toISOString()}`,
);
const settings = {};
for (const contestant of contestants) {
  settings[contestant.name] = await contestant.answer();
  say(`${contestant.name}: ${JSON.stringify(settings[contestant.name])}`);
  await contestant.ask(`step ${warmupSteps}`);
}
for (let round = 0; round < rounds; round += 1) {
  for (const contestant of contestants) await contestant.round();
}
say(
  `\n${'step'.padEnd(14)}${'median'.padStart(13)}${'middle half'.padStart(19)}${'peak memory'.padStart(12)}`,
);
const results = {};
for (const contestant of contestants) {
  const { peakResidentBytes } = await contestant.ask('memory');
  contestant.end();
  const medianMs = quantile(contestant.times, 0.5);
  results[contestant.name] = {
    medianMs,
    timesMs: contestant.times,
    peakResidentBytes,
    ...settings[contestant.name],
  };
  say(row(contestant.name, contestant.times, peakResidentBytes));
}
const [ours, theirs] = Object.values(results);
if (theirs) {
  say(
    `\nratio, ours to PyTorch: time ${(ours.medianMs / theirs.medianMs).toFixed(2)}, peak memory ${(ours.peakResidentBytes / theirs.peakResidentBytes).toFixed(2)}`,
  );
}
if (isJson)
  console.log(
    JSON.stringify({
      date: new Date().toISOString(),
      cpu: cpus()[0]?.model.trim(),
      cores: cpus().length,
      results,
    }),
  );
