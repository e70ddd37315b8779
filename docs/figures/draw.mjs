/**
 * Draws the figures of README.md and docs/method.md from the metrics of real runs: `node docs/figures/draw.mjs`.
 *
 * `runs/*.jsonl` are the epoch records of run folders; docs/results.md (`demo-*`) and docs/method.md (the others) have their
 * commands. To draw other runs, put the `"kind":"epoch"` lines of their metrics.jsonl there. The colours are legible on
 * light and dark pages.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const here = (path) => fileURLToPath(new URL(path, import.meta.url));
const colours = ['#1f83c9', '#d9640e', '#0a9d76', '#c76a9c', '#c98a00', '#4aa8d8'];
const frame = { left: 52, top: 34, width: 300, height: 190, gap: 78, bottom: 58 };

/** The epoch records of a run. */
const epochs = (run) =>
  readFileSync(here(`runs/${run}.jsonl`), 'utf8')
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line));

/** Points `[epoch, value]` of one metric, without the epochs that lack it. */
function series(run, name, scale = 1) {
  return epochs(run)
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

/** One chart: lines with a legend below, and dashed levels with names. */
function panel(place, { title, lines, levels = [], range }) {
  const left = frame.left + place * (frame.width + frame.gap);
  const values = [
    ...lines.flatMap(({ points }) => points.map(([, value]) => value)),
    ...levels.map(({ at }) => at),
  ];
  const [low, high] = range ?? [Math.min(...values), Math.max(...values)];
  const lastEpoch = Math.max(...lines.flatMap(({ points }) => points.map(([epoch]) => epoch)));
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

/** A picture without a background, in colours that are legible on light and dark pages. */
function svg(width, height, body) {
  const style =
    'text{font:12px sans-serif;fill:#737c86}.title{font-weight:bold}.small{font-size:11px}.end{font-weight:bold}.grid{stroke:#8c959f;stroke-opacity:.25}.level{stroke:#8c959f;stroke-dasharray:4 3}.line{fill:none;stroke-width:1.8}';
  return `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">\n<style>${style}</style>\n${body}\n</svg>\n`;
}

function figure(name, panels) {
  const width = frame.left + panels.length * (frame.width + frame.gap) - frame.gap + 20;
  const rows = Math.max(...panels.map(({ lines }) => lines.length));
  const height = frame.top + frame.height + frame.bottom + 14 * rows;
  writeFileSync(
    here(`${name}.svg`),
    svg(width, height, panels.map((each, place) => panel(place, each)).join('\n')),
  );
}

const [published, rampUp, mcl, layerwise] = ['mcl-published', 'mcl-ramp-up', 'mcl', 'l-mcl'];
const pair = 'information/resnet8-1/resnet8-2';

/** README's picture: two networks alone and the same two together, the whole training and, larger, its end. */
function together(name, { title, groups, views }) {
  const [top, height, bottom] = [36, 240, 48];
  const body = [text(views[0].left, 18, title, 'class="title"')];
  for (const {
    left,
    width,
    epochs: [first, last],
    low,
    high,
  } of views) {
    const x = (epoch) => left + ((epoch - first) / (last - first)) * width;
    const y = (value) => top + height - ((value - low) / (high - low)) * height;
    for (const value of ticks(low, high)) {
      const at = y(value).toFixed(1);
      body.push(
        `<line x1="${left}" x2="${left + width}" y1="${at}" y2="${at}" class="grid"/>`,
        text(left - 6, y(value) + 4, `${value}%`, 'text-anchor="end"'),
      );
    }
    for (const epoch of ticks(first, last)) {
      body.push(text(x(epoch), top + height + 18, `${epoch}`, 'text-anchor="middle"'));
    }
    body.push(text(left + width / 2, top + height + 36, 'epoch', 'text-anchor="middle"'));
    const isLast = last === views.at(-1).epochs[1] && left === views.at(-1).left;
    for (const { label, run, colour, dy } of groups) {
      const networks = ['resnet8-1', 'resnet8-2'].map((network) =>
        series(run, `accuracy/${network}`, 100).filter(([epoch, value]) => epoch >= first && value >= low),
      );
      for (const [index, points] of networks.entries()) {
        const path = points
          .map(([epoch, value]) => `${x(epoch).toFixed(1)},${y(value).toFixed(1)}`)
          .join(' ');
        body.push(
          `<polyline points="${path}" stroke="${colour}" class="line"${index === 1 ? ' stroke-dasharray="6 3"' : ''}/>`,
        );
      }
      if (!isLast) continue;
      const ends = networks.map((points) => points.at(-1)[1]);
      const at = y((ends[0] + ends[1]) / 2) + dy;
      body.push(
        text(left + width + 10, at, label, `style="fill:${colour}" class="end"`),
        text(
          left + width + 10,
          at + 15,
          ends.map((value) => `${value.toFixed(2)}%`).join(' and '),
          `style="fill:${colour}"`,
        ),
      );
    }
  }
  const { left, width } = views.at(-1);
  writeFileSync(here(`${name}.svg`), svg(left + width + 180, top + height + bottom, body.join('\n')));
}

together('together', {
  title: 'Test accuracy of two ResNet-8 (solid, dashed) on Fashion-MNIST, 1,000 training images, seed 1',
  groups: [
    { label: 'trained together (MCL)', run: 'demo-mcl', colour: colours[0], dy: -8 },
    { label: 'each trained alone', run: 'demo-independent', colour: colours[1], dy: 8 },
  ],
  views: [
    { left: 48, width: 300, epochs: [0, 100], low: 60, high: 86 },
    { left: 410, width: 260, epochs: [60, 100], low: 80, high: 86 },
  ],
});

figure('collapse', [
  {
    title: 'VCL per network',
    lines: [
      { name: 'published weights from the first step', points: series(published, 'vcl', 0.5) },
      { name: 'soft terms ramped up over half of the epochs', points: series(rampUp, 'vcl', 0.5) },
    ],
    levels: [{ at: Math.log(63), name: 'ln(B - 1): embeddings are uninformative' }],
  },
  {
    title: 'Effective rank in the contrast space',
    lines: [
      {
        name: 'published weights from the first step',
        points: series(published, 'contrast/resnet8-1/effectiveRank'),
      },
      {
        name: 'soft terms ramped up over half of the epochs',
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
    levels: [{ at: Math.log(10), name: 'ln 10: entropy of ten classes' }],
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
