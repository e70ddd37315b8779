/** When the engine is opened: at its first use, and not when the package is imported. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { ChildEngine } from '../testing/childEngine.ts';

interface Report {
  readonly modules: number;
  readonly isOpenAfterImport: boolean;
  readonly changed: readonly string[];
  readonly outcomes: readonly [string, string][];
}

describe('importing every module', () => {
  let engine: ChildEngine;
  let lonely: ChildEngine;
  beforeAll(() => {
    engine = new ChildEngine();
    lonely = new ChildEngine({ withAddon: false });
  });
  afterAll(() => {
    engine.dispose();
    lonely.dispose();
  });

  const report = async (child: ChildEngine, environment: Record<string, string> = {}): Promise<Report> => {
    const { stdout, stderr } = await child.run('importProgram', [], [], environment);
    expect(stderr).toBe('');
    return JSON.parse(stdout) as Report;
  };

  test('loads no native code and leaves the environment as it was', async () => {
    const { modules, isOpenAfterImport, changed, outcomes } = await report(engine);
    expect(modules).toBeGreaterThan(25);
    expect(isOpenAfterImport).toBe(false);
    expect(changed).toEqual([]);
    for (const [use, outcome] of outcomes) expect([use, outcome]).toEqual([use, 'done']);
  });

  test('works without the addon; every first use then says what to run', async () => {
    const { isOpenAfterImport, outcomes } = await report(lonely);
    expect(isOpenAfterImport).toBe(false);
    expect(outcomes).toHaveLength(5);
    for (const [use, outcome] of outcomes) {
      expect(outcome, use).toMatch(
        /^EngineLoadError: load: the native engine could not be loaded from .*cohort_torch\.node: .*Run "npm run setup"/s,
      );
    }
  });

  test('takes the addon that COHORT_ADDON names', async () => {
    const { outcomes } = await report(engine, { COHORT_ADDON: '/nowhere/other.node' });
    for (const [, outcome] of outcomes) expect(outcome).toContain('loaded from /nowhere/other.node: ');
  });
});
