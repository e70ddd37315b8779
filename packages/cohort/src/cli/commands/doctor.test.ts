/** `cohort doctor`: every check, and an exit code when one fails. */
import { describe, expect, it } from 'vitest';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

describe('cohort doctor', () => {
  it('shows every check, and exits with 1 when one fails', async () => {
    const checks = [
      { name: 'LibTorch', status: 'ok' as const, value: '1.13.1' },
      { name: 'CUDA', status: 'warn' as const, value: 'absent', advice: 'Training runs on the CPU.' },
    ];
    const { code, out } = await run(['doctor'], () => ({ diagnose: () => Promise.resolve({ checks }) }));
    expect(code).toBe(0);
    expect(out).toBe(
      'ok    LibTorch  1.13.1\nwarn  CUDA      absent\n                Training runs on the CPU.\n',
    );
    const failing = await run(['doctor', '--json'], () => ({
      diagnose: () => Promise.resolve({ checks: [{ name: 'BLAS', status: 'fail' as const, value: 'none' }] }),
    }));
    expect(failing.code).toBe(1);
    expect(lastLine(failing.out)).toEqual({ checks: [{ name: 'BLAS', status: 'fail', value: 'none' }] });
  });
});
