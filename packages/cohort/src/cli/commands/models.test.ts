/** `cohort models`: the architectures as a table and as JSON. */
import { describe, expect, it } from 'vitest';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

describe('cohort models', () => {
  it('lists the architectures as a table, or in full', async () => {
    const model = {
      name: 'resnet32',
      parameters: 472756,
      multiplyAdds: 69130496,
      inputShape: [3, 32, 32] as const,
      classes: 100,
      paper: 'arXiv 1512.03385',
    };
    const describeModels = (): Promise<[typeof model]> => Promise.resolve([model]);
    const { code, out } = await run(['models'], () => ({ describeModels }));
    expect(code).toBe(0);
    expect(out).toMatch(/^model +parameters \(M\) +multiply-adds \(M\) +input +classes +paper$/m);
    expect(out).toMatch(/^resnet32 +0\.47 +69\.1 +3x32x32 +100 +arXiv 1512\.03385$/m);
    const full = await run(['models', '--json'], () => ({ describeModels }));
    expect(lastLine(full.out)).toEqual({ models: [model] });
  });
});
