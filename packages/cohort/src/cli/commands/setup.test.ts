/** `cohort setup`: names the engine that it built or found. */
import { describe, expect, it } from 'vitest';
import type { CommandActions } from '../contracts.ts';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

describe('cohort setup', () => {
  it('names the engine, and builds again when asked to', async () => {
    const asked: boolean[] = [];
    const result = {
      addon: '/cache/cohort_torch.node',
      libtorch: '1.13.1',
      compiler: 'g++ 12',
      library: { path: '/usr/lib/libtorch_cpu.so', bytes: 1, modifiedMs: 2 },
      built: true,
      seconds: 70,
    };
    const setUpEngine: CommandActions['setUpEngine'] = ({ force }) => {
      asked.push(force);
      return Promise.resolve(result);
    };
    const { code, out } = await run(['setup'], () => ({ setUpEngine }));
    expect(code).toBe(0);
    expect(out).toBe('Ready: LibTorch 1.13.1, engine /cache/cohort_torch.node\n');
    const json = await run(['setup', '--force', '--json'], () => ({ setUpEngine }));
    expect(lastLine(json.out)).toEqual(result);
    expect(asked).toEqual([false, true]);
  });
});
