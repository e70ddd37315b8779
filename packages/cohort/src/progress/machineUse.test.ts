/** The use of the machine is that of this process since it was last asked for. */
import { expect, it } from 'vitest';
import { MachineUse } from './machineUse.ts';

it('counts the processor time of the process for each second', () => {
  const use = new MachineUse();
  const before = process.cpuUsage();
  const startedAt = performance.now();
  while (process.cpuUsage(before).user + process.cpuUsage(before).system < 200_000);
  const { processors } = use.read();
  const seconds = (performance.now() - startedAt) / 1000;
  // Other threads of the process may have worked too.
  expect(processors).toBeGreaterThan((0.2 / seconds) * 0.8);
  expect(processors).toBeLessThan(64);
});

it('counts from the last reading on', async () => {
  const use = new MachineUse();
  const before = process.cpuUsage();
  while (process.cpuUsage(before).user + process.cpuUsage(before).system < 200_000);
  const busy = use.read().processors;
  await new Promise((resolve) => setTimeout(resolve, 300));
  expect(use.read().processors).toBeLessThan(busy);
});

it('tells the memory of the process in megabytes', () => {
  const { memoryMegabytes } = new MachineUse().read();
  expect(memoryMegabytes * 1e6).toBeGreaterThan(10e6);
  expect(memoryMegabytes * 1e6).toBeLessThan(process.memoryUsage.rss() * 10);
});
