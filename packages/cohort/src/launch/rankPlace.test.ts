/** Ranks from the variables of torchrun, PyTorchJob and SLURM. */
import { describe, expect, it } from 'vitest';
import { firstHost, rankPlace, RankPlaceError } from './rankPlace.ts';

describe('rankPlace', () => {
  it("reads torchrun's and PyTorchJob's variables", () => {
    const variables = {
      RANK: '3',
      WORLD_SIZE: '4',
      LOCAL_RANK: '1',
      MASTER_ADDR: 'worker-0',
      MASTER_PORT: '23456',
    };
    expect(rankPlace(variables)).toEqual({
      rank: 3,
      size: 4,
      localRank: 1,
      masterHost: 'worker-0',
      masterPort: 23456,
    });
  });

  it("reads SLURM's variables, with the first host of its list and a port of the job", () => {
    const variables = {
      SLURM_PROCID: '1',
      SLURM_NTASKS: '2',
      SLURM_LOCALID: '0',
      SLURM_JOB_NODELIST: 'gpu[017-019,044]',
      SLURM_JOB_ID: '123456',
    };
    expect(rankPlace(variables)).toEqual({
      rank: 1,
      size: 2,
      localRank: 0,
      masterHost: 'gpu017',
      masterPort: 29_500 + 2 * 3456,
    });
  });

  it.each([
    ['node7', 'node7'],
    ['node7,node8', 'node7'],
    ['node[3-5]', 'node3'],
    ['rack[01,02]-a,login', 'rack01-a'],
  ])('finds the first host of %s', (list, host) => {
    expect(firstHost(list)).toBe(host);
  });

  it('finds no rank where nobody named one', () => {
    expect(rankPlace({ RANK: '0', SLURM_JOB_ID: '7' })).toBeNull();
  });

  it.each([
    [{ RANK: '2', WORLD_SIZE: '2', MASTER_ADDR: 'a' }, /rank 2 of 2 ranks, which count from 0/],
    [{ RANK: 'one', WORLD_SIZE: '2', MASTER_ADDR: 'a' }, /RANK is 'one', expected a whole number from 0/],
    [{ RANK: '1', WORLD_SIZE: '2' }, /MASTER_ADDR is not set/],
  ])('refuses %j', (variables, text) => {
    expect(() => rankPlace(variables)).toThrow(RankPlaceError);
    expect(() => rankPlace(variables)).toThrow(text);
  });
});
