/** `cohort demo`: its report as text and as JSON. */
import { describe, expect, it } from 'vitest';
import type { CommandActions } from '../contracts.ts';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

describe('cohort demo', () => {
  it('prints its report, or what it measured', async () => {
    const runDemo: CommandActions['runDemo'] = ({ command }) =>
      Promise.resolve({ report: 'a table', status: 'finished', measured: { difference: 0.3, command } });
    expect(await run(['demo'], () => ({ runDemo }))).toMatchObject({ code: 0, out: 'a table\n' });
    const { out } = await run(['demo', '--json'], () => ({ runDemo }));
    expect(lastLine(out)).toEqual({ status: 'finished', difference: 0.3, command: 'cohort demo --json' });
  });
});
