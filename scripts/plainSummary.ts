/** Vitest reporter that ends the run with the plain line `N passed, N failed`, which continuous integration reads. */
import type { Reporter, TestModule } from 'vitest/node';

/**
 * Counts finished tests. What fails a run without being a test counts as one failure each: a test file that could not
 * be loaded, a group whose set-up threw, an error outside every test; so the line never says 0 failed for a failed run.
 */
export default class PlainSummary implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly unknown[]): void {
    let passed = 0;
    let failed = unhandledErrors.length;
    let skipped = 0;
    for (const module of modules) {
      if (module.errors().length > 0) failed += 1;
      for (const suite of module.children.allSuites()) if (suite.errors().length > 0) failed += 1;
      for (const test of module.children.allTests()) {
        const { state } = test.result();
        if (state === 'passed') passed += 1;
        else if (state === 'skipped') skipped += 1;
        else failed += 1;
      }
    }
    const line = `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
    // Reporters run in order; the default one still writes after this hook.
    process.once('exit', () => process.stdout.write(`${line}\n`));
  }
}
