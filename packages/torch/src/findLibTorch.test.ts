/** Tests of the search for LibTorch, on made-up installations in temporary folders. */
import { chmodSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { findLibTorch, LibTorchNotFoundError, thisMachine, type Machine } from '../scripts/findLibTorch.mjs';

const newAbiSymbol = '\0_ZN3c105ErrorC1ENS_14SourceLocationENSt7__cxx1112basic_stringIcE\0';
const oldAbiSymbol = '\0_ZN3c105ErrorC1ENS_14SourceLocationESs\0';

let folder = '';

beforeEach(() => {
  // With a space, since paths end up on compiler command lines.
  folder = realpathSync(mkdtempSync(join(tmpdir(), 'cohort libtorch ')));
});

afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

function write(path: string, text = ''): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, text);
}

interface Shape {
  version?: string;
  lib?: string;
  extension?: string;
  c10?: string;
  cuda?: boolean;
}

function installation(root: string, shape: Shape = {}): string {
  const { version = '2.5.1', lib = 'lib', extension = 'so', c10 = newAbiSymbol, cuda = false } = shape;
  for (const header of ['ATen/ATen.h', 'c10/util/Exception.h', 'torch/library.h']) {
    write(join(root, 'include', header));
  }
  write(
    join(root, 'include/torch/csrc/api/include/torch/version.h'),
    `#pragma once\n#define TORCH_VERSION \\\n  "${version}"\n`,
  );
  for (const name of ['torch', 'torch_cpu', ...(cuda ? ['torch_cuda', 'c10_cuda'] : [])]) {
    write(join(root, lib, `lib${name}.${extension}`));
  }
  write(join(root, lib, `libc10.${extension}`), c10);
  return root;
}

/** A stand-in for a Python that has its torch package in `root`. */
function python(name: string, body: string): string {
  const path = join(folder, 'bin', name);
  write(path, `#!/bin/sh\n${body}\n`);
  chmodSync(path, 0o755);
  return path;
}

function machine(overrides: Partial<Machine> = {}): Machine {
  return {
    platform: 'linux',
    architecture: 'x64',
    pythons: [],
    systemPrefixes: [join(folder, 'usr')],
    packagedVersion: () => undefined,
    ...overrides,
  };
}

describe('a search for LibTorch', () => {
  it('takes the folder in LIBTORCH before anything else', () => {
    const root = installation(join(folder, 'download'));
    installation(join(folder, 'usr'));
    expect(findLibTorch({ LIBTORCH: root }, machine())).toEqual({
      source: 'LIBTORCH',
      root,
      includeDirs: [join(root, 'include'), join(root, 'include/torch/csrc/api/include')],
      libDirs: [join(root, 'lib')],
      libraries: ['torch', 'torch_cpu', 'c10'],
      version: '2.5.1',
      cxx11Abi: true,
      cuda: false,
      rpath: join(root, 'lib'),
    });
  });

  it('finds the CUDA libraries, the old string ABI and the full version of a download', () => {
    const root = installation(join(folder, 'download'), { cuda: true, c10: oldAbiSymbol });
    write(join(root, 'build-version'), '2.5.1+cu124\n');
    const found = findLibTorch({ LIBTORCH: root }, machine());
    expect(found).toMatchObject({ cuda: true, cxx11Abi: false, version: '2.5.1+cu124' });
    expect(found.libraries).toEqual(['torch', 'torch_cpu', 'c10', 'torch_cuda', 'c10_cuda']);
  });

  it('reads the version of newer releases, whose version header only includes another', () => {
    const root = installation(join(folder, 'download'));
    write(
      join(root, 'include/torch/csrc/api/include/torch/version.h'),
      '#include <torch/headeronly/version.h>\n',
    );
    write(join(root, 'include/torch/headeronly/version.h'), '#define TORCH_VERSION "2.9.0"\n');
    expect(findLibTorch({ LIBTORCH: root }, machine()).version).toBe('2.9.0');
  });

  it('says what was expected where when LIBTORCH is wrong, and does not look elsewhere', () => {
    installation(join(folder, 'usr'));
    const missing = join(folder, 'nowhere');
    expect(() => findLibTorch({ LIBTORCH: missing }, machine())).toThrow(
      `LIBTORCH is set to ${missing}, but ${missing} does not exist`,
    );
    const empty = join(folder, 'empty');
    mkdirSync(empty);
    expect(() => findLibTorch({ LIBTORCH: empty }, machine())).toThrow(
      `headers in ${join(empty, 'include')} and libtorch_cpu.so in ${join(empty, 'lib')}`,
    );
  });

  it('names the better folder when LIBTORCH is the one above', () => {
    installation(join(folder, 'unpacked/libtorch'));
    expect(() => findLibTorch({ LIBTORCH: join(folder, 'unpacked') }, machine())).toThrow(
      `Set LIBTORCH=${join(folder, 'unpacked/libtorch')} instead`,
    );
  });

  it('refuses a LibTorch that is too old or of another system', () => {
    const old = installation(join(folder, 'old'), { version: '1.12.1' });
    expect(() => findLibTorch({ LIBTORCH: old }, machine())).toThrow('LibTorch 1.12.1, older than 1.13');
    const mac = installation(join(folder, 'mac'), { extension: 'dylib' });
    expect(() => findLibTorch({ LIBTORCH: mac }, machine())).toThrow('libtorch_cpu.so');
    expect(findLibTorch({ LIBTORCH: mac }, machine({ platform: 'darwin' })).root).toBe(mac);
  });

  it('takes the torch package of a Python before the system, skipping Pythons without one', () => {
    const root = installation(join(folder, 'site-packages/torch'));
    write(join(root, 'version.py'), "from typing import Optional\n__version__ = '2.5.1+cpu'\n");
    installation(join(folder, 'usr'));
    const pythons = [
      join(folder, 'bin/absent'),
      python('failing', 'exit 1'),
      python('without', 'echo null'),
      python('with', `echo "a start-up file speaks"; echo '${JSON.stringify(root)}'`),
    ];
    expect(findLibTorch({}, machine({ pythons }))).toMatchObject({
      source: 'python',
      root,
      version: '2.5.1+cpu',
    });
  });

  it('takes the system for a Python package that only links to it, with the version of the Debian package', () => {
    const usr = installation(join(folder, 'usr'), { lib: 'lib/x86_64-linux-gnu', version: '1.13.0' });
    const root = join(folder, 'dist-packages/torch');
    mkdirSync(join(root, 'include'), { recursive: true });
    symlinkSync(join(usr, 'include/ATen'), join(root, 'include/ATen'));
    const pythons = [python('debian', `echo '${JSON.stringify(root)}'`)];
    const packagedVersion = (prefix: string): string => (prefix === usr ? '1.13.1+dfsg-4' : '');
    expect(findLibTorch({ LIBTORCH: '' }, machine({ pythons, packagedVersion }))).toMatchObject({
      source: 'system',
      root: usr,
      libDirs: [join(usr, 'lib/x86_64-linux-gnu')],
      version: '1.13.1',
    });
  });

  it('lists the three ways, and what was refused, when there is none', () => {
    const root = join(folder, 'site-packages/torch');
    mkdirSync(root, { recursive: true });
    const headersOnly = join(folder, 'usr');
    installation(headersOnly, { lib: 'elsewhere' });
    const pythons = [python('broken', `echo '${JSON.stringify(root)}'`)];
    const search = (): unknown => findLibTorch({}, machine({ pythons }));
    expect(search).toThrow(LibTorchNotFoundError);
    expect(search).toThrow('set LIBTORCH to the unpacked folder');
    expect(search).toThrow('pip install torch');
    expect(search).toThrow('apt-get install libtorch-dev');
    expect(search).toThrow('brew install pytorch');
    expect(search).toThrow(`there is no header ${join(root, 'include/ATen/ATen.h')}`);
    expect(search).toThrow(`not together in any of ${join(headersOnly, 'lib')}`);
  });

  it('finds one on this machine, which runs these tests with it', () => {
    expect(findLibTorch(process.env, thisMachine()).libraries).toContain('torch_cpu');
  });
});
