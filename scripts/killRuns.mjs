/** `npm run test:kill [METHOD...]`: kills trainings of every method by SIGKILL at 36 random moments each, takes them up again, and compares bit for bit. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { methodFacts, methodNames } from '../packages/cohort/dist/methods/registry.js';
import { killAndResume } from '../packages/cohort/dist/test/killing.js';

const kills = 36;
const program = fileURLToPath(new URL('../packages/cohort/dist/cli/main.js', import.meta.url));
const wanted = process.argv.slice(2);
const methods = methodNames().filter((name) => wanted.length === 0 || wanted.includes(name));

for (const [index, name] of methods.entries()) {
  const folder = mkdtempSync(join(tmpdir(), 'cohort-kill-'));
  try {
    const networks = Math.max(2, methodFacts(name).minimumNetworks);
    const result = await killAndResume({
      ...{ program, folder, kills, networks },
      ...{ method: { name }, epochs: 8, seed: 1000 + index },
    });
    const { whileWriting, runs, differences } = result;
    console.log(
      `${name}: ${result.kills} kills in ${runs} runs, ${whileWriting} while a checkpoint was written, ${differences.length} runs that ended otherwise`,
    );
    for (const difference of differences) console.log(`  ${difference}`);
    if (differences.length > 0) process.exitCode = 1;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
