#!/usr/bin/env node
/** Starts the compiled command line, or says how to compile it. */
import { existsSync } from 'node:fs';

const compiled = new URL('../dist/cli/main.js', import.meta.url);

if (existsSync(compiled)) {
  const { main } = await import(compiled.href);
  process.exitCode = await main(process.argv.slice(2));
} else {
  process.stderr.write(
    'error: Cohort is not built yet. Run npm run setup first, in the folder of the repository.\n',
  );
  process.exitCode = 1;
}
