/** The device of a recipe: refused where it is not there, and stood in for where a finished run is only used. */
import { cudaDevices, currentDevice, DeviceError, useDevice } from '@cohort-ml/torch';
import { afterEach, expect, test } from 'vitest';
import { resolveRecipe, type ResolvedRecipe } from '../recipes/index.ts';
import { applyDevice, applyDeviceOfRun } from './device.ts';
import { differences, machineDifferences, type Provenance } from '../checkpoints/provenance.ts';

afterEach(() => {
  useDevice('cpu');
});

function recipeOn(device: string): ResolvedRecipe {
  return resolveRecipe(
    {
      name: 'device',
      data: { dataset: 'fashion-mnist' },
      networks: [{ model: 'resnet8' }, { model: 'resnet8' }],
      method: { name: 'mcl' },
      train: { epochs: 1, device },
    },
    { source: 'the test' },
  );
}
const absent = `cuda:${cudaDevices().length}`;

test('a recipe names auto, the processor or a card, and nothing else', () => {
  expect(recipeOn('cuda:1').train.device).toBe('cuda:1');
  expect(() => recipeOn('gpu')).toThrow('expected auto, cpu, cuda or cuda:N');
  expect(applyDevice(recipeOn('cpu'))).toEqual({
    device: 'cpu',
    deviceName: null,
    driver: null,
    deviceMemoryBytes: null,
  });
});

test('training on a card that is not there is refused', () => {
  expect(() => applyDevice(recipeOn(absent))).toThrow(DeviceError);
  expect(currentDevice()).toBe('cpu');
});

test('a finished run whose card is gone works on what is there, with a warning', () => {
  const warnings: string[] = [];
  const reporter = { warning: (text: string) => void warnings.push(text) };
  const { device } = applyDeviceOfRun(recipeOn(absent), reporter);
  expect(device).toBe(cudaDevices().length > 0 ? 'cuda:0' : 'cpu');
  expect(warnings).toEqual([`The run was trained on ${absent}, which is not here: using ${device}.`]);
  expect(() => applyDeviceOfRun(recipeOn('cpu'), reporter, absent)).toThrow(DeviceError);
});

test('a run that changes its device resumes with a note', () => {
  const on = (device: string): Provenance => ({
    code: { digest: '', version: '', gitCommit: null, isModified: null, libtorch: '' },
    data: { name: '', digest: '', images: { train: 1, validation: 0, test: 1 } },
    recipe: { train: { device } },
    machine: { threads: 1, cpu: '', cpuCapability: '', device },
  });
  expect(differences(on('cuda:0'), on('cpu')).recipe).toEqual([]);
  expect(machineDifferences(on('cuda:0'), on('cpu'))).toEqual([
    'it ran on cuda:0 and continues on cpu (train.device)',
  ]);
});
