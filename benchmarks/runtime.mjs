/**
 * Times @cohort-ml/runtime against ONNX Runtime on one image, in Node and in Chromium.
 *
 *   node benchmarks/runtime.mjs MODEL.onnx...      [--rounds 30] [--size 224] [--threads 1]
 *                                        [--only node|chromium]
 *
 * The two run in turns, so that other load on the machine weighs on both alike; in Node with several threads, one after the
 * other. Needs `npm run build`.
 */
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import { basename, dirname, extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

const { values, positionals: models } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '30' },
    size: { type: 'string', default: '32' },
    threads: { type: 'string', default: '1' },
    only: { type: 'string' },
    flags: { type: 'string', default: '' },
  },
});
const rounds = Number(values.rounds);
const size = Number(values.size);
const threads = Number(values.threads);
const require = createRequire(import.meta.url);
const built = fileURLToPath(new URL('../packages/runtime/dist/page/classifier.js', import.meta.url));

if (models.length === 0 || !existsSync(built)) {
  console.error('Usage: node benchmarks/runtime.mjs MODEL.onnx...   (after `npm run build`)');
  process.exit(2);
}

/** Runs programs in turns, after five rounds to warm up; gives minimum and median of each in milliseconds. Also works inside a page. */
async function inTurns(programs, rounds) {
  const times = programs.map(() => []);
  for (let round = -5; round < rounds; round++) {
    for (const [index, run] of programs.entries()) {
      const start = performance.now();
      await run();
      if (round >= 0) times[index].push(performance.now() - start);
    }
  }
  return times.map((list) => {
    const sorted = list.sort((a, b) => a - b);
    return { minimum: sorted[0], median: sorted[sorted.length >> 1] };
  });
}

function report(place, model, [ours, theirs], judge) {
  const text = ({ minimum, median }) => `${minimum.toFixed(2)} ms (median ${median.toFixed(2)})`;
  console.log(
    `${place}  ${basename(dirname(model))}/${basename(model)}  ours ${text(ours)}  ${judge} ${text(theirs)}`,
  );
}

async function inNode(path) {
  const { loadModel } = await import(built);
  const onnx = require('onnxruntime-node');
  const file = await readFile(path);
  const model = await loadModel(file, { threads });
  const { inputName } = model;
  const channels = model.inputShape[1];
  const shape = [1, channels, size, size];
  const data = Float32Array.from({ length: channels * size * size }, (_, index) => (index * 37) % 256);
  const ours = () => model.run(data, shape);
  // Threads of both look for work while they have none, so that in turns each would hold up the other.
  const alone = threads > 1 ? await inTurns([ours], rounds) : [];
  if (threads > 1) model.dispose();
  const session = await onnx.InferenceSession.create(file, {
    intraOpNumThreads: threads,
    interOpNumThreads: 1,
  });
  const feeds = { [inputName]: new onnx.Tensor('float32', data, shape) };
  const others = await inTurns([...(threads > 1 ? [] : [ours]), () => session.run(feeds)], rounds);
  const times = [...alone, ...others];
  report('Node    ', path, times, 'onnxruntime-node');
}

async function inChromium(paths) {
  const { chromium } = require('playwright-core');
  const web = dirname(require.resolve('onnxruntime-web'));
  const types = {
    '.html': 'text/html',
    '.js': 'text/javascript',
    '.mjs': 'text/javascript',
    '.wasm': 'application/wasm',
  };
  const server = createServer(async (request, response) => {
    const { pathname } = new URL(request.url, 'http://localhost');
    // Isolated pages have a clock of 5 microseconds in place of 100.
    response.setHeader('cross-origin-opener-policy', 'same-origin');
    response.setHeader('cross-origin-embedder-policy', 'require-corp');
    const index = Number(/^\/model\/(\d+)$/.exec(pathname)?.[1] ?? -1);
    const file =
      index >= 0
        ? resolve(paths[index])
        : pathname === '/classifier.js'
          ? built
          : join(web, basename(pathname));
    try {
      const content = pathname === '/' ? '<!doctype html>' : await readFile(file);
      response.writeHead(200, {
        'content-type': types[pathname === '/' ? '.html' : extname(file)] ?? 'application/octet-stream',
      });
      response.end(content);
    } catch {
      response.writeHead(404).end();
    }
  });
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-quic',
      '--no-first-run',
      ...values.flags.split(' ').filter(Boolean),
    ],
  });
  console.log(`Chromium ${browser.version()}`);
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  for (const [index, path] of paths.entries()) {
    const times = await page.evaluate(
      async ([source, number, side, count, threads]) => {
        const inTurns = new Function(`return ${source}`)();
        const { loadModel } = await import('/classifier.js');
        const onnx = await import('/ort.wasm.min.mjs');
        onnx.env.wasm.numThreads = threads;
        onnx.env.wasm.wasmPaths = '/';
        const bytes = new Uint8Array(await (await fetch(`/model/${number}`)).arrayBuffer());
        const model = await loadModel(bytes, { threads });
        const session = await onnx.InferenceSession.create(bytes);
        const channels = model.inputShape[1];
        const shape = [1, channels, side, side];
        const data = Float32Array.from({ length: channels * side * side }, (_, place) => (place * 37) % 256);
        const feeds = { [model.inputName]: new onnx.Tensor('float32', data, shape) };
        return inTurns([() => model.run(data, shape), () => session.run(feeds)], count);
      },
      [inTurns.toString(), index, size, rounds, threads],
    );
    report('Chromium', path, times, 'onnxruntime-web');
  }
  await browser.close();
  server.closeAllConnections();
  server.close();
}

console.log(
  `${cpus()[0]?.model ?? 'unknown processor'}, ${cpus().length} cores, Node ${process.version}, ${size} by ${size} pixels, ${threads} thread${threads > 1 ? 's' : ''}`,
);
if (values.only !== 'chromium') for (const path of models) await inNode(path);
if (values.only !== 'node') await inChromium(models);
process.exit(0);
