/** Types of findLibTorch.mjs, which stays plain JavaScript because it runs before anything is installed. */

/** One usable LibTorch: what a compiler and a linker need to know of it. */
export interface LibTorchInstallation {
  source: 'LIBTORCH' | 'python' | 'system';
  /** Folder that holds `include` and `lib`. */
  root: string;
  includeDirs: string[];
  libDirs: string[];
  /** Names for `-l`, in link order. */
  libraries: string[];
  version: string;
  /** Value for `_GLIBCXX_USE_CXX11_ABI`. */
  cxx11Abi: boolean;
  cuda: boolean;
  /** Folder to search at run time. */
  rpath: string;
}

/** Where a machine keeps software. */
export interface Machine {
  platform: NodeJS.Platform;
  /** As `process.arch` names it. */
  architecture: string;
  /** Commands to ask for a torch package, in order. */
  pythons: string[];
  /** Folders that hold the system's `include` and `lib`, in order. */
  systemPrefixes: string[];
  /** Version of the Debian package that put LibTorch below `root`, or nothing. */
  packagedVersion: (root: string) => string | null | undefined;
}

export declare class LibTorchNotFoundError extends Error {}
export declare function thisMachine(): Machine;
export declare function findLibTorch(
  environment?: Readonly<Record<string, string | undefined>>,
  machine?: Machine,
): LibTorchInstallation;
