import { describe, expect, it } from 'vitest';
import { TrainingClock } from './clock.ts';

describe('speed and time left', () => {
  it('are of the whole training, of the epoch and of late', () => {
    const clock = new TrainingClock(1_000_000);
    clock.beginEpoch();
    // Slow for ten minutes, 10 images a second.
    for (let step = 0; step < 60; step += 1) clock.add(100, 10_000);
    expect(clock.recentImagesPerSecond).toBeCloseTo(10);
    clock.beginEpoch();
    // Ten times as fast for another ten.
    for (let step = 0; step < 600; step += 1) clock.add(100, 1000);
    expect(clock.imagesPerSecond).toBeCloseTo(55);
    expect(clock.epochImagesPerSecond).toBeCloseTo(100);
    expect(clock.recentImagesPerSecond).toBeGreaterThan(99);
    expect(clock.secondsLeft).toBeCloseTo((1_000_000 - 66_000) / clock.recentImagesPerSecond);
  });

  it('evens out steps that take longer now and then', () => {
    const clock = new TrainingClock(1_000_000);
    const speeds: number[] = [];
    for (let step = 1; step <= 2000; step += 1) {
      clock.add(100, step % 50 === 0 ? 2000 : 200);
      if (step > 1000) speeds.push(clock.recentImagesPerSecond);
    }
    // 50 steps take 11.8 s.
    const mean = 5000 / 11.8;
    expect(Math.min(...speeds)).toBeGreaterThan(0.9 * mean);
    expect(Math.max(...speeds)).toBeLessThan(1.1 * mean);
  });

  it('begin anew when a training is resumed, while its totals go on', () => {
    const before = new TrainingClock(10_000);
    for (let step = 0; step < 10; step += 1) before.add(100, 1000);
    const clock = new TrainingClock(10_000, before.state);
    expect([clock.steps, clock.imagesPerSecond]).toEqual([10, 100]);
    expect([clock.recentImagesPerSecond, clock.epochImagesPerSecond, clock.secondsLeft]).toEqual([0, 0, 0]);
    clock.beginEpoch();
    clock.add(100, 500);
    expect(clock.secondsLeft).toBeCloseTo((10_000 - 1100) / 200);
  });
});
