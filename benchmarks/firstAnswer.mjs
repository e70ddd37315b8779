/**
 * Times how soon an exported page answers: in a new browser each time, from the start of navigation until the page takes
 * pictures, and until the first answer to one that is chosen at once.
 *
 *   node benchmarks/firstAnswer.mjs EXPORT-FOLDER... [--rounds 15]
 *
 * Several folders take turns. Each is what `cohort export RUN --page --out FOLDER` wrote. Needs Chromium (Debian: `chromium`; CHROMIUM names another).
 */
/* global document, DataTransfer, Event, File, MutationObserver -- of the page */
import { createServer } from 'node:http';
import { readFile } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { chromium } from 'playwright-core';
import sharp from 'sharp';

const { positionals, values } = parseArgs({
  allowPositionals: true,
  options: { rounds: { type: 'string', default: '15' } },
});
const folders = positionals;
if (folders.length === 0) throw new Error('Name the folder that cohort export --page wrote.');

const types = {
  '.html': 'text/html',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.json': 'application/json',
};
const server = createServer(async (request, response) => {
  const { pathname } = new URL(request.url, 'http://localhost');
  const [, index, ...path] = pathname.replace(/\/$/, '/index.html').split('/');
  const name = path.join('/');
  try {
    const content = await readFile(join(folders[Number(index)], name));
    response.writeHead(200, { 'content-type': types[extname(name)] ?? 'application/octet-stream' });
    response.end(content);
  } catch {
    response.writeHead(404).end();
  }
});
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const address = `http://127.0.0.1:${server.address().port}/`;
const noise = Buffer.from(Array.from({ length: 64 * 64 * 3 }, (_, index) => (index * 7919) % 256));
const picture = await sharp(noise, { raw: { width: 64, height: 64, channels: 3 } })
  .png()
  .toBuffer();

const allTimes = folders.map(() => ({ 'takes a picture': [], 'first answer': [] }));
const turns = Array.from(
  { length: Number(values.rounds) * folders.length },
  (_, turn) => turn % folders.length,
);
for (const index of turns) {
  const times = allTimes[index];
  const browser = await chromium.launch({
    executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
    args: ['--no-sandbox'],
  });
  const page = await browser.newPage();
  // Chosen inside the page, so that no message to the browser counts.
  await page.addInitScript((bytes) => {
    const choose = () => {
      const input = document.querySelector('input[type=file]:enabled');
      if (input === null) return;
      watcher.disconnect();
      globalThis.taken = performance.now();
      const files = new DataTransfer();
      files.items.add(new File([new Uint8Array(bytes)], 'noise.png', { type: 'image/png' }));
      input.files = files.files;
      const answers = new MutationObserver(() => {
        if (!/\d\s*%/.test(document.body.innerText)) return;
        answers.disconnect();
        globalThis.answered = performance.now();
      });
      answers.observe(document, { subtree: true, childList: true, characterData: true });
      input.dispatchEvent(new Event('change', { bubbles: true }));
    };
    const watcher = new MutationObserver(choose);
    watcher.observe(document, { subtree: true, childList: true, attributes: true });
  }, Array.from(picture));
  await page.goto(`${address}${index}/`);
  await page.waitForFunction(() => globalThis.answered !== undefined);
  times['takes a picture'].push(await page.evaluate(() => globalThis.taken));
  times['first answer'].push(await page.evaluate(() => globalThis.answered));
  await browser.close();
}
server.close();
for (const [index, times] of allTimes.entries()) {
  for (const [name, each] of Object.entries(times)) {
    each.sort((a, b) => a - b);
    console.log(
      `${folders[index]}, ${name}: ${each[0].toFixed(0)} ms at best, ${each[each.length >> 1].toFixed(0)} ms in the median of ${each.length}`,
    );
  }
}
