/** `cohort methods`: the list, and one method with its settings. */
import { describe, expect, it } from 'vitest';
import { lastLine, useCommandLine } from '../testing.ts';

const { run } = useCommandLine();

describe('cohort methods', () => {
  it('lists every method, and shows one with its settings', async () => {
    const { code, out } = await run(['methods']);
    expect(code).toBe(0);
    expect(out).toMatch(/^method +topology, default first +networks from$/m);
    expect(out).toMatch(/^okddip +branches, peers, tree +3$/m);
    expect(out).toContain('one: on-the-fly native ensemble (Lan et al. 2018, arXiv 1806.04606)\n');
    const json = lastLine((await run(['methods', '--json'])).out);
    expect(json).toMatchObject({
      methods: expect.arrayContaining([
        expect.objectContaining({ name: 'dml', topologies: ['peers', 'branches', 'tree'] }),
      ]) as unknown,
      variants: expect.arrayContaining([
        expect.objectContaining({ name: 'kdcl-naive', method: 'kdcl', settings: { teacher: 'naive' } }),
      ]) as unknown,
    });
    expect(out).toMatch(/^ {2}mcl-logit: mutual contrastive learning with logit distillation$/m);
    const variant = await run(['methods', 'show', 'mcl-logit']);
    expect(variant.out).toMatch(/^recipe +method: \{ name: mcl, weights: \{ logit: 1 \} \}$/m);
    expect(variant.out).toMatch(/^paper +Yang et al\. 2022/m);
    expect(variant.out).toMatch(/^weights\.logit +1 +a number of at least 0$/m);
    const shown = await run(['methods', 'show', 'mcl']);
    expect(shown.code).toBe(0);
    expect(shown.out).toMatch(/^weights\.softVcl +1 +a number of at least 0$/m);
    expect(shown.out).toMatch(/^memory +null +a section with positives, negatives, bankMomentum, or null$/m);
    expect(shown.out).not.toMatch(/^memory\./m);
    expect((await run(['methods', 'show', 'independent'])).out).toContain('It has no settings.');
    expect(lastLine((await run(['methods', 'show', 'l-mcl', '--json'])).out)).toMatchObject({
      name: 'l-mcl',
      settings: expect.arrayContaining([
        { path: 'meta.intervalSteps', default: 50, accepts: 'a whole number of at least 1' },
      ]) as unknown,
    });
  });

  it('show says which name was meant', async () => {
    const { code, err } = await run(['methods', 'show', 'okdip']);
    expect(code).toBe(1);
    expect(err).toContain('Did you mean okddip? The methods are independent, mcl, l-mcl, dml,');
  });
});
