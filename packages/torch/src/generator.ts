/** Seeded random generators of the engine; their whole state can be read and set, so that a run can be resumed exactly. */
import { EngineValue } from './callBuffer.ts';
import { ArgumentError } from './errors.ts';
import { checked, native } from './native.ts';
import { Tensor } from './tensor.ts';

const finalizers = new FinalizationRegistry<number>((handle) => {
  native.releaseGenerator(handle);
});

function assertSeed(operation: string, seed: number): void {
  if (!Number.isSafeInteger(seed) || seed < 0) {
    throw new ArgumentError(operation, `a seed must be an integer from 0 to 2^53 - 1, got ${seed}.`);
  }
}

/** A random generator (Mersenne Twister on the CPU), passed to operators as the keyword `generator`. */
export class Generator extends EngineValue {
  readonly engineKind = 'generator';

  /** @throws {ArgumentError} when the seed is not a non-negative safe integer. */
  constructor(seed: number) {
    super();
    assertSeed('Generator', seed);
    this.handle = checked('Generator', native.newGenerator(seed));
    finalizers.register(this, this.handle);
  }

  /** The whole state, about 5 kB. */
  getState(): Uint8Array {
    const state = new Tensor(checked('Generator.getState', native.generatorState(this.handle)));
    const bytes = state.toTypedArray();
    state.dispose();
    return new Uint8Array(bytes.buffer);
  }

  /** Puts a state back that `getState` gave. @throws {OperatorError} when it is not one. */
  setState(state: Uint8Array): void {
    const tensor = Tensor.fromTypedArray(state);
    try {
      checked('Generator.setState', native.setGeneratorState(this.handle, tensor.handle));
    } finally {
      tensor.dispose();
    }
  }
}

/** Seeds LibTorch's default generator, which operators use when they are given none. */
export function seedDefaultGenerator(seed: number): void {
  assertSeed('seedDefaultGenerator', seed);
  checked('seedDefaultGenerator', native.seedDefaultGenerator(seed));
}
