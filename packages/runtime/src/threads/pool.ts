/** Kernels that divide large calls among workers, which share the memory. Results are the same to the bit. */
import { canShareMemory, hasFileSystem, nodeModule } from '../environment.ts';
import { InferenceError } from '../errors.ts';
import { type KernelName, type Kernels } from '../wasm/kernels.ts';
import { divisibleKernels, splitCall } from './split.ts';
import { withSharedMemory } from './sharedMemory.ts';
import { control, valuesPerCall, workerSource, type WorkerStart } from './workerSource.ts';

/** Workers that have not started after this long are done without. */
const startMs = 20_000;

/** Smallest work that is divided, in products of vectors: about five microseconds of a dense convolution on one thread. */
const leastWork = 4000;

/** Looks at the others this often before it sleeps, where it may sleep. */
const spins = 20_000;

interface Thread {
  post(start: WorkerStart): void;
  readonly ready: Promise<void>;
  stop(): void;
}

/** Structure of both Node's workers and those of pages, as far as they are used here. */
async function startThread(): Promise<Thread> {
  if (hasFileSystem()) {
    const { Worker: NodeWorker } =
      await nodeModule<typeof import('node:worker_threads')>('node:worker_threads');
    const worker = new NodeWorker(workerSource, { eval: true });
    worker.unref();
    return {
      post: (start) => {
        worker.postMessage(start);
      },
      ready: new Promise((resolve, reject) => {
        worker.once('message', () => {
          resolve();
        });
        worker.once('error', reject);
      }),
      stop: () => void worker.terminate(),
    };
  }
  const address = URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' }));
  const worker = new Worker(address);
  return {
    post: (start) => {
      worker.postMessage(start);
    },
    ready: new Promise<void>((resolve, reject) => {
      worker.onmessage = () => {
        resolve();
      };
      worker.onerror = reject;
    }).finally(() => {
      URL.revokeObjectURL(address);
    }),
    stop: () => {
      worker.terminate();
    },
  };
}

/** The main thread of a page may not sleep. */
function canSleep(state: Int32Array): boolean {
  try {
    Atomics.wait(state, control.pending, -1, 0);
    return true;
  } catch {
    return false;
  }
}

/**
 * Kernels that compute on `threads` threads, this one included.
 *
 * @param kernels binary with a memory of its own
 * @returns null where threads cannot be had
 */
export async function startThreadedKernels(kernels: Uint8Array, threads: number): Promise<Kernels | null> {
  if (!canShareMemory()) return null;
  const started: Thread[] = [];
  const stop = (): void => {
    for (const thread of started.splice(0)) thread.stop();
  };
  try {
    const { binary, memory } = withSharedMemory(kernels);
    const module = await WebAssembly.compile(binary);
    const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
    const own = { ...(exports as unknown as Kernels), memory };
    const workers = threads - 1;
    const state = new Int32Array(new SharedArrayBuffer(4 * (control.turns + workers)));
    const values = new Float64Array(new SharedArrayBuffer(8 * valuesPerCall * workers));
    const names = divisibleKernels;
    for (let index = 0; index < workers; index++) {
      const thread = await startThread();
      started.push(thread);
      thread.post({ module, memory, state, values, names, index });
    }
    await withinTime(Promise.all(started.map(({ ready }) => ready)));
    return { ...own, ...divided(own, threads, state, values), threads, stop };
  } catch {
    stop();
    return null;
  }
}

async function withinTime(ready: Promise<unknown>): Promise<void> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new InferenceError('The threads did not start.'));
    }, startMs);
  });
  try {
    await Promise.race([ready, late]);
  } finally {
    clearTimeout(timer);
  }
}

function divided(
  own: Kernels,
  threads: number,
  state: Int32Array,
  values: Float64Array,
): Partial<Record<KernelName, (...call: number[]) => void>> {
  const sleeps = canSleep(state);
  const entries = divisibleKernels.map((name, kernel) => {
    const run = own[name];
    const call = (...whole: number[]): void => {
      const [first = whole, ...others] = splitCall(name, whole, threads, leastWork);
      if (others.length === 0) {
        run(...first);
        return;
      }
      const turn = ((state[control.turn] ?? 0) + 1) | 0;
      for (const [index, part] of others.entries()) {
        state[control.turns + index] = turn;
        values.set(part, index * valuesPerCall);
      }
      state[control.kernel] = kernel;
      Atomics.store(state, control.pending, others.length);
      Atomics.add(state, control.turn, 1);
      Atomics.notify(state, control.turn);
      run(...first);
      waitForOthers(state, sleeps);
    };
    return [name, call] as const;
  });
  return Object.fromEntries(entries);
}

function waitForOthers(state: Int32Array, sleeps: boolean): void {
  for (let spin = 0; ; spin++) {
    const pending = Atomics.load(state, control.pending);
    if (pending === 0) break;
    if (sleeps && spin > spins) Atomics.wait(state, control.pending, pending, 1);
  }
  if (Atomics.exchange(state, control.failed, 0) !== 0) {
    throw new InferenceError('A thread failed while it computed. Load the model again.');
  }
}
