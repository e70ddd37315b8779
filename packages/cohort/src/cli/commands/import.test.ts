/** `cohort import`: what it passes on, and what it says of a file. */
import { describe, expect, it } from 'vitest';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

describe('cohort import', () => {
  it('says what it found and wrote, and passes every option on', async () => {
    const asked: unknown[] = [];
    const result = {
      format: 'PyTorch checkpoint',
      place: 'state_dict of a.pth',
      renamed: 62,
      ignored: ['head.0.weight'],
      classifier: 'fresh' as const,
      whyFresh: "the file's has 7 classes and this one 5",
      classNames: null,
      isReordered: false,
      unusableNames: null,
      namesNote: 'class_to_idx counts from 1: cat was taken for the first row',
      skipped: ['torch.optim.lr_scheduler.OneCycleLR'],
      output: 'b.safetensors',
      model: 'resnet8',
      classes: 5,
      channels: 3,
      parameters: 78042,
    };
    const importWeights = (...given: unknown[]): Promise<typeof result> => {
      asked.push(given);
      return Promise.resolve(result);
    };
    const options = [
      '--model',
      'resnet8',
      '--classes',
      '5',
      '--map',
      'a=b',
      '--map',
      'enc.=',
      '--key',
      'net',
    ];
    const { code, out } = await run(['import', 'a.pth', ...options], () => ({ importWeights }));
    expect(code).toBe(0);
    const rules = [
      { from: 'a', to: 'b' },
      { from: 'enc.', to: '' },
    ];
    expect(asked).toEqual([
      ['a.pth', expect.objectContaining({ model: 'resnet8', classes: 5, rules, key: 'net', force: false })],
    ]);
    expect(out).toContain('read state_dict of a.pth (PyTorch checkpoint); 62 tensors renamed\n');
    expect(out).toContain('ignored, because resnet8 has no such parts: head.0.weight\n');
    expect(out).toContain('skipped, and not executed: torch.optim.lr_scheduler.OneCycleLR\n');
    expect(out).toContain('class names: class_to_idx counts from 1: cat was taken for the first row\n');
    expect(out).toContain("classifier: new, since the file's has 7 classes and this one 5\n");
    expect(out).toContain('networks.0.model=resnet8 networks.0.weights=b.safetensors');
    const json = await run(['import', 'a.pth', '--json'], () => ({ importWeights }));
    expect(lastLine(json.out)).toEqual(result);
    for (const wrong of [
      ['--map', 'a'],
      ['--classes', '1'],
    ]) {
      expect((await run(['import', 'a.pth', ...wrong])).code).toBe(2);
    }
  });
});
