/**
 * Draws the figures of docs/method.md from the metrics of real runs: `node docs/figures/draw.mjs`.
 *
 * `runs/*.jsonl` are the epoch records of four run folders, whole; docs/method.md has their commands. To draw others, put the
 * `"kind":"epoch"` lines of their metrics.jsonl there.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const colours = ['#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'];
const frame = { left: 52, top: 34, width: 300, height: 190, gap: 78, bottom: 58 };

/** Points `[epoch, value]` of one metric, epochs without it left out. */
function series(run, name, scale = 1) {
  return readFileSync(here(`runs/${run}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
    .filter(({ values }) => typeof values[name] === 'number')
    .map(({ epoch, values }) => [epoch, values[name] * scale]);
}

const text = (x, y, content, more = '') =>
  `<text x="${x.toFixed(1)}" y="${y.toFixed(1)}" ${more}>${content.replaceAll('&', '&amp;').replaceAll('<', '&lt;')}</text>`;

/** About five round numbers from low to high. */
function ticks(low, high) {
  const rough = (high - low) / 5;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough);
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(6)),
  );
}

/** One chart: lines, a legend under the title, and dashed levels with names. */
function panel(place, { title, lines, levels = [], range }) {
  const left = frame.left + place * (frame.width + frame.gap);
  const epochs = lines.flatMap(({ points }) => points.map(([epoch]) => epoch));
  const values = [
    ...lines.flatMap(({ points }) => points.map(([, value]) => value)),
    ...levels.map(({ at }) => at),
  ];
  const [low, high] = range ?? [Math.min(...values), Math.max(...values)];
  const lastEpoch = Math.max(...epochs);
  const x = (epoch) => left + (epoch / lastEpoch) * frame.width;
  const y = (value) => frame.top + frame.height - ((value - low) / (high - low)) * frame.height;
  const parts = [text(left, 18, title, 'class="title"')];
  for (const value of ticks(low, high)) {
    parts.push(
      `<line x1="${left}" x2="${left + frame.width}" y1="${y(value).toFixed(1)}" y2="${y(value).toFixed(1)}" class="grid"/>`,
      text(left - 6, y(value) + 4, `${value}`, 'text-anchor="end"'),
    );
  }
  for (const epoch of ticks(0, lastEpoch)) {
    parts.push(text(x(epoch), frame.top + frame.height + 16, `${epoch}`, 'text-anchor="middle"'));
  }
  parts.push(text(left + frame.width / 2, frame.top + frame.height + 34, 'epoch', 'text-anchor="middle"'));
  for (const { at, name } of levels) {
    parts.push(
      `<line x1="${left}" x2="${left + frame.width}" y1="${y(at).toFixed(1)}" y2="${y(at).toFixed(1)}" class="level"/>`,
      text(left + frame.width - 4, y(at) - 4, name, 'text-anchor="end" class="small"'),
    );
  }
  for (const [index, { name, points }] of lines.entries()) {
    const path = points.map(([epoch, value]) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`).join(' ');
    parts.push(`<polyline points="${path}" stroke="${colours[index]}" class="line"/>`);
    const row = frame.top + frame.height + frame.bottom + 14 * index;
    parts.push(
      `<line x1="${left}" x2="${left + 18}" y1="${row - 4}" y2="${row - 4}" stroke="${colours[index]}" class="line"/>`,
      text(left + 24, row, name, 'class="small"'),
    );
  }
  return parts.join('\n');
}

function figure(name, panels) {
  const width = frame.left + panels.length * (frame.width + frame.gap) - frame.gap + 20;
  const rows = Math.max(...panels.map(({ lines }) => lines.length));
  const height = frame.top + frame.height + frame.bottom + 14 * rows;
  const style =
    'text{font:12px sans-serif;fill:#222}.title{font-weight:bold}.small{font-size:11px}.grid{stroke:#ddd}.level{stroke:#666;stroke-dasharray:4 3}.line{fill:none;stroke-width:1.8}';
  const body = panels.map((each, place) => panel(place, each)).join('\n');
  writeFileSync(
    here(`${name}.svg`),
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">\n<style>${style}</style>\n<rect width="100%" height="100%" fill="#fff"/>\n${body}\n</svg>\n`,
  );
}

const [published, rampUp, mcl, layerwise] = ['mcl-published', 'mcl-ramp-up', 'mcl', 'l-mcl'];
const pair = 'information/resnet8-1/resnet8-2';

figure('collapse', [
  {
    title: 'VCL a network',
    lines: [
      { name: 'published weights from the first step', points: series(published, 'vcl', 0.5) },
      { name: 'soft terms let in over half of the epochs', points: series(rampUp, 'vcl', 0.5) },
    ],
    levels: [{ at: Math.log(63), name: 'ln(B - 1): embeddings say nothing' }],
  },
  {
    title: 'Effective rank in the space of contrast',
    lines: [
      {
        name: 'published weights from the first step',
        points: series(published, 'contrast/resnet8-1/effectiveRank'),
      },
      {
        name: 'soft terms let in over half of the epochs',
        points: series(rampUp, 'contrast/resnet8-1/effectiveRank'),
      },
    ],
    levels: [{ at: 1, name: 'collapsed to a point' }],
    range: [0, 20],
  },
]);

figure('information', [
  {
    title: 'Shared information, lower bounds (nats)',
    lines: [
      { name: 'same class', points: series(mcl, `${pair}/sameClass`) },
      { name: 'same image', points: series(mcl, `${pair}/sameImage`) },
    ],
    levels: [{ at: Math.log(10), name: 'ln 10: all that ten classes can say' }],
    range: [0, 2.5],
  },
  {
    title: 'Test accuracy, mean of two networks (%)',
    lines: [mcl, layerwise].map((run) => ({
      name: run === mcl ? 'MCL, 60 epochs' : 'L-MCL with meta steps, 40 epochs',
      points: series(run, 'accuracy/resnet8-1', 50).map(([epoch, first], index) => [
        epoch,
        first + (series(run, 'accuracy/resnet8-2', 50)[index]?.[1] ?? NaN),
      ]),
    })),
    range: [0, 100],
  },
]);

figure('matching', [
  {
    title: 'Matching weights by pair of stages',
    lines: ['1.1-2.1', '1.1-2.3', '1.2-2.2', '1.2-2.3', '1.3-2.1', '1.3-2.3'].map((stages) => ({
      name: `stage ${stages.replace('1.', '').replace('-2.', ' of network 1 and stage ')} of network 2`,
      points: series(layerwise, `matching/${stages}/mean`),
    })),
  },
  {
    title: 'Norm of the hypergradient',
    lines: [{ name: 'mean over the meta steps of an epoch', points: series(layerwise, 'hypergradientNorm') }],
  },
]);
