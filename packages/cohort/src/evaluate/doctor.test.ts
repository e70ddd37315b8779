/** What the doctor says of the kernels that batch normalisation runs on. */
import { expect, it } from 'vitest';
import { diagnose } from './doctor.ts';

it('names the fused kernels, and warns where they are switched off', async () => {
  const { checks } = await diagnose();
  const kernels = checks.find(({ name }) => name === 'fused kernels');
  if (process.env.COHORT_KERNELS === 'aten') {
    expect(kernels).toMatchObject({
      status: 'warn',
      advice: 'Unset COHORT_KERNELS to use the fused kernels.',
    });
  } else {
    expect(kernels?.value).toMatch(/^(baseline|avx2|avx512)/);
  }
});
