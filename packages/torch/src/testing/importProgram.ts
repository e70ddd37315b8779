/** Imports every module of the engine and says what that changed, then uses the engine for the first time. */
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';

const before = { ...process.env };
const folder = fileURLToPath(new URL('..', import.meta.url));
// setup/program is a program of its own: it does its work when it is started.
const modules = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter(
  (path) => path.endsWith('.js') && !path.startsWith('testing') && path !== join('setup', 'program.js'),
);
for (const path of modules) await import(pathToFileURL(join(folder, path)).href);
const { isEngineOpen, nn, ops, Tensor, Generator, TorchError } = await import('../index.ts');

const isOpenAfterImport = isEngineOpen();
const changed = Object.keys({ ...before, ...process.env }).filter(
  (name) => process.env[name] !== before[name],
);

const firstUses: Record<string, () => unknown> = {
  operator: () => ops.ones([2]),
  nameOfAnOperator: () => 'conv2d' in ops,
  tensor: () => Tensor.fromTypedArray(new Float32Array(2)),
  generator: () => new Generator(1),
  module: () => new nn.Linear(2, 2, new Generator(1)),
};
const outcomes = Object.entries(firstUses).map(([use, attempt]) => {
  try {
    attempt();
    return [use, 'done'];
  } catch (error) {
    return [use, error instanceof TorchError ? `${error.name}: ${error.message}` : String(error)];
  }
});
console.log(JSON.stringify({ modules: modules.length, isOpenAfterImport, changed, outcomes }));
