/** Objects other than the weights are passed over by name; whatever would run code is refused by name, however it is spelled. */
import { describe, expect, it } from 'vitest';
import { entryOf, PickleError, unpickle, type Unpickled } from './index.ts';

function read(pickle: string): Unpickled {
  return unpickle(Buffer.from(pickle, 'latin1'), { source: 'a file', keepsInert: true });
}

/** `{ 'weights': 7, 'other': ... }`, so that what follows can be seen to be read. */
const withWeights = (other: string): string =>
  `\x80\x02}(X\x05\0\0\0otherX\x07\0\0\0nothingu0}(X\x05\0\0\0other${other}X\x07\0\0\0weightsK\x07u.`;

describe('inert objects', () => {
  it.each([
    [
      'a scheduler',
      'ctorch.optim.lr_scheduler\nOneCycleLR\n)\x81}(X\x01\0\0\0aK\x01ub',
      'torch.optim.lr_scheduler.OneCycleLR',
    ],
    [
      'a method by getattr',
      'c__builtin__\ngetattr\nctorch.optim.lr_scheduler\nOneCycleLR\nX\x0e\0\0\0_annealing_cos\x86R',
      'torch.optim.lr_scheduler.OneCycleLR._annealing_cos',
    ],
    [
      'a configuration that is a dictionary',
      'cmy.settings\nConfig\n)\x81(X\x01\0\0\0aK\x01u',
      'my.settings.Config',
    ],
    ['an object that is a list', 'cmy.settings\nItems\n)\x81(K\x01K\x02e', 'my.settings.Items'],
    ['a member of an enumeration', 'c__main__\nMode\nX\x04\0\0\0fast\x85R', '__main__.Mode'],
    [
      'an object of protocol 0',
      'ccopy_reg\n_reconstructor\n(cmy.settings\nConfig\nc__builtin__\nobject\nNtR}b',
      'my.settings.Config',
    ],
    ['a partial call', 'cfunctools\npartial\nctorch.nn\nReLU\n\x85R', 'functools.partial'],
    [
      'a random state',
      'cnumpy.random._pickle\n__randomstate_ctor\nX\x07\0\0\0MT19937\x85R}b',
      'numpy.random._pickle.__randomstate_ctor',
    ],
    ['a function that is never called', 'cmy.training\nschedule\n', null],
  ])('passes over %s', (_, other, name) => {
    const { value, inert } = read(withWeights(other));
    expect(entryOf(value, 'weights')).toBe(7);
    expect(inert).toEqual(name === null ? [] : [name]);
  });

  it('passes over an object that contains itself', () => {
    const { value } = read(withWeights('cmy.settings\nNode\n)\x81q\x01}(X\x04\0\0\0selfh\x01ub'));
    expect(entryOf(value, 'weights')).toBe(7);
  });

  it.each([
    ['cposix\nsystem\nX\x04\0\0\0true\x85R', 'posix.system'],
    ['cnumpy\nos.system\nX\x04\0\0\0true\x85R', 'numpy.os.system'],
    ['c__builtin__\neval\nX\x01\0\0\x001\x85R', '__builtin__.eval'],
    ['csubprocess\nPopen\nX\x04\0\0\0true\x85R', 'subprocess.Popen'],
    ['csubprocess\nPopen\n)\x81', 'subprocess.Popen'],
    ['ctorch.hub\nload\nX\x04\0\0\0evil\x85R', 'torch.hub.load'],
    ['crunpy\n_run_code\n)R', 'runpy._run_code'],
    ['cmy.package\ndelete_all\n)R', 'my.package.delete_all'],
    ['ctypes\nFunctionType\n)R', 'types.FunctionType'],
    ['cdill._dill\n_create_function\n)R', 'dill._dill._create_function'],
    ['c__builtin__\ngetattr\nctorch\nnn\nX\x02\0\0\0os\x86R', 'torch.nn.os'],
    ['c__builtin__\ngetattr\ncmy.package\nTool\nX\x03\0\0\0run\x86R)R', 'my.package.Tool.run'],
    ['cfunctools\npartial\ncos\nsystem\n\x85R', 'os.system'],
    ['imy.package\ndelete_all\n', 'stack'],
  ])('refuses %j by name', (other, name) => {
    let error: unknown;
    try {
      read(withWeights(other));
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(PickleError);
    if (name !== 'stack') expect(error).toMatchObject({ kind: 'global', global: name });
  });

  it('is refused where nobody asked for it', () => {
    const bytes = Buffer.from(withWeights('cmy.settings\nConfig\n)\x81'), 'latin1');
    expect(() => unpickle(bytes, { source: 'a file' })).toThrow('got my.settings.Config at byte');
  });
});
