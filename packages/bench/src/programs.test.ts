import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { selectCases } from './cases.ts';
import { agree } from './checkCase.ts';
import { Program } from './contestant.ts';
import { BenchError } from './errors.ts';
import { findPyTorch, type PyTorch } from './python.ts';
import { withReferences } from './references.ts';
import { assertSameNetworks } from './runCase.ts';

/** A program of JavaScript text. */
function start(text: string, signal = new AbortController().signal): Program {
  return new Program('the program', {
    command: process.execPath,
    args: ['-e', text],
    variables: { BENCH_WORD: 'kept' },
    signal,
  });
}

describe('a program', () => {
  it('answers commands, keeps other lines apart, and is gone at its end', async () => {
    const program = start(`
      const say = (value) => console.log(JSON.stringify(value));
      say({ version: process.env.BENCH_WORD });
      console.log('between the answers');
      require('readline').createInterface({ input: process.stdin }).on('line', (line) => {
        if (line === 'quit') process.exit(0);
        say(line === 'run 2' ? { ms: [1, 2], values: {} } : { error: 'not ' + line });
      });
    `);
    expect(await program.about()).toEqual({ version: 'kept' });
    expect(await program.run(2)).toEqual({ ms: [1, 2], values: {} });
    expect(program.takeOtherLines()).toEqual(['between the answers']);
    expect(program.takeOtherLines()).toEqual([]);
    await expect(program.ask('dance')).rejects.toThrow(
      "the program: expected an answer to 'dance', got an error. not dance",
    );
    await program.end();
  });

  it('that fails is told with its last words', async () => {
    const program = start('console.error("out of luck"); process.exit(3)');
    const failure = program.about();
    await expect(failure).rejects.toThrow(BenchError);
    await expect(failure).rejects.toThrow(
      "the program: expected an answer to 'start', got its end. Its last words:\nout of luck",
    );
    await program.end();
  });

  it('that is not there is told as such', async () => {
    const signal = new AbortController().signal;
    const program = new Program('it', { command: '/nonexistent/python', args: [], variables: {}, signal });
    await expect(program.about()).rejects.toThrow(/ENOENT/);
    await program.end();
  });
});

describe('both sides', () => {
  const runner = (name: string, parameters: number): Parameters<typeof assertSameNetworks>[1][number] => ({
    contestant: { name },
    about: { version: '1', threads: 1, capability: 'AVX2', parameters, multiplyAdds: 7 },
  });

  it('must have networks of one size', () => {
    expect(() => {
      assertSameNetworks('mcl', [runner('Cohort', 5), runner('PyTorch', 5)]);
    }).not.toThrow();
    expect(() => {
      assertSameNetworks('mcl', [runner('Cohort', 5), runner('PyTorch', 6)]);
    }).toThrow(
      'benchmark mcl: expected the 5 parameters of Cohort, got 6 of PyTorch. The two sides do not have the same networks',
    );
  });

  it('agree within roundings, which sensitive values magnify', () => {
    const first = { value: 'vcl', precision: 'float32', step: 1 } as const;
    expect(agree(9.6867, 9.6869, first)).toBe(true);
    expect(agree(9.6867, 9.69, first)).toBe(false);
    expect(agree(9.6867, 9.69, { ...first, step: 2 })).toBe(true);
    expect(agree(0.0886, 0.0899, { ...first, value: 'softIcl' })).toBe(false);
    expect(agree(0.0886, 0.0899, { ...first, value: 'softIcl', step: 2 })).toBe(true);
    expect(agree(NaN, 1, first)).toBe(false);
  });
});

describe('the search for PyTorch', () => {
  it('says where none is', () => {
    const found = findPyTorch({ PYTHON: '/nonexistent/python' });
    expect(found).toEqual({
      found: [],
      absent:
        '/nonexistent/python cannot import torch (Debian: apt-get install python3-torch; --reference names another)',
    });
  });

  it('takes all that are named, asks each for its version, and refuses one without torch', () => {
    const folder = mkdtempSync(join(tmpdir(), 'cohort-python-'));
    try {
      const pythons = ['1.13.1 False none', '2.15.0 True 1.1.5'].map((answer, index) => {
        const path = join(folder, `python${index}`);
        writeFileSync(path, `#!/bin/sh\necho ${answer}\n`, { mode: 0o755 });
        return path;
      });
      const [old = '', latest = ''] = pythons;
      expect(findPyTorch({}, [latest, old, latest])).toEqual({
        found: [
          { python: latest, version: '2.15.0', canCompile: true, torchdistill: '1.1.5' },
          { python: old, version: '1.13.1', canCompile: false, torchdistill: null },
        ],
        absent: null,
      });
      expect(() => findPyTorch({}, [latest, '/nonexistent/python'])).toThrow(
        "benchmark: expected a Python that can import torch, got '/nonexistent/python'.",
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe('references', () => {
  const old = { python: '/usr/bin/python3', version: '1.13.1', canCompile: false, torchdistill: null };
  const latest = { python: '/venv/bin/python', version: '2.15.0', canCompile: true, torchdistill: null };
  const names = (only: string, references: readonly PyTorch[], compiles: boolean): string[] =>
    selectCases([only]).flatMap((each) =>
      withReferences(each, references, compiles).contestants.map(({ name }) => name),
    );

  it('each take part under their version, and compiled where they can', () => {
    expect(names('mcl-wrn-16-2-x2', [old, latest], true)).toEqual([
      'Cohort float32',
      'PyTorch 1.13.1 float32',
      'PyTorch 2.15.0 float32',
      'PyTorch 2.15.0 float32, compiled',
      'Cohort bfloat16',
      'PyTorch 1.13.1 bfloat16',
      'PyTorch 2.15.0 bfloat16',
      'PyTorch 2.15.0 bfloat16, compiled',
    ]);
    expect(names('single-image-resnet20', [latest], false)).toEqual([
      'Cohort float32',
      'PyTorch 2.15.0 float32',
      'ONNX Runtime float32',
    ]);
    // What is differentiated twice cannot be compiled.
    expect(names('lmcl-meta', [latest], true)).toEqual(['Cohort float32', 'PyTorch 2.15.0 float32']);
  });

  it('train with torchdistill where a Python has it; else it is missed by name', () => {
    const equipped = { ...latest, torchdistill: '1.1.5' };
    expect(names('dml', [old, equipped], true)).toEqual([
      'Cohort float32',
      'PyTorch 1.13.1 float32',
      'PyTorch 2.15.0 float32',
      'PyTorch 2.15.0 float32, compiled',
      'torchdistill 1.1.5 on PyTorch 2.15.0 float32',
    ]);
    expect(names('dml', [old], false).at(-1)).toBe('torchdistill float32');
  });

  it('with the same version are named by their paths', () => {
    const other = { ...latest, python: '/other/python' };
    expect(names('lmcl-meta', [latest, other], false)).toEqual([
      'Cohort float32',
      'PyTorch 2.15.0 of /venv/bin/python float32',
      'PyTorch 2.15.0 of /other/python float32',
    ]);
  });
});
