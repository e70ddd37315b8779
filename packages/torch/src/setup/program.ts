/** The program that builds the engine when an installed package is used for the first time. */
import { EngineSetupError, setUpEngine } from './setUpEngine.ts';

try {
  await setUpEngine({
    onMessage: (text) => {
      process.stderr.write(`cohort: ${text}\n`);
    },
  });
} catch (error) {
  if (!(error instanceof EngineSetupError)) throw error;
  process.stderr.write(`cohort: ${error.message}\n`);
  process.exitCode = 1;
}
