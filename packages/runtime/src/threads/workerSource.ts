/** The program of a thread: waits for kernel calls in shared memory and runs them. Plain JavaScript for pages, Node and Deno. */

/** Places in the shared `Int32Array` between the threads. Behind them, for every worker, the last turn that it has a part of. */
export const control = { turn: 0, pending: 1, kernel: 2, failed: 3, turns: 4 } as const;

/** Values of one call; kernels ignore what they do not take. */
export const valuesPerCall = 24;

/** Looks at the turn this often before it sleeps: about a tenth of a millisecond. */
const spins = 10_000;

/** What a worker gets in its only message. */
export interface WorkerStart {
  readonly module: WebAssembly.Module;
  readonly memory: WebAssembly.Memory;
  readonly state: Int32Array;
  readonly values: Float64Array;
  readonly names: readonly string[];
  readonly index: number;
}

export const workerSource = `
const port = typeof require === 'function' ? require('node:worker_threads').parentPort : self;
const work = async ({ module, memory, state, values, names, index }) => {
  const { exports } = await WebAssembly.instantiate(module, { env: { memory } });
  const own = values.subarray(index * ${valuesPerCall}, (index + 1) * ${valuesPerCall});
  let seen = Atomics.load(state, ${control.turn});
  port.postMessage('ready');
  for (;;) {
    for (let spin = 0; spin < ${spins} && Atomics.load(state, ${control.turn}) === seen; spin++);
    Atomics.wait(state, ${control.turn}, seen);
    const turn = Atomics.load(state, ${control.turn});
    // Woken late for a turn that it has already seen by looking.
    if (turn === seen) continue;
    seen = turn;
    if (state[${control.turns} + index] !== seen) continue;
    try {
      exports[names[state[${control.kernel}]]](...own);
    } catch {
      Atomics.store(state, ${control.failed}, 1);
    }
    Atomics.sub(state, ${control.pending}, 1);
    Atomics.notify(state, ${control.pending});
  }
};
if (port.once) port.once('message', work);
else port.onmessage = ({ data }) => work(data);
`;
