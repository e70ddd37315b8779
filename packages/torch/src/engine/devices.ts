/** The device that tensors are made on: the processor, or a graphics card; chosen once for a program, with typed errors. */
import { execFileSync } from 'node:child_process';
import { TorchError } from '../errors.ts';
import { checked, native } from '../native.ts';

/** There is no such device here, or it cannot be used. */
export class DeviceError extends TorchError {
  override readonly name = 'DeviceError';
}

/** A graphics card as its driver describes it. */
export interface CudaDevice {
  /** What `useDevice` takes, e.g. `cuda:0`. */
  readonly device: string;
  /** The driver's name for it; `unknown` where nvidia-smi does not tell. */
  readonly name: string;
  readonly driver: string;
  /** Whole memory in bytes; null where nvidia-smi does not tell. */
  readonly memoryBytes: number | null;
}

const form = /^(auto|cpu|meta|cuda(:\d+)?)$/;
let current = 'cpu';

/** How many graphics cards LibTorch sees; 0 too where it was built without CUDA. */
function count(): number {
  return checked('devices', native.cudaDevices());
}

/** The graphics cards that LibTorch sees, in its order. */
export function cudaDevices(): CudaDevice[] {
  const lines = count() === 0 ? [] : driverLines();
  return Array.from({ length: count() }, (_, index) => {
    const [name = 'unknown', driver = 'unknown', memory] = lines[index] ?? [];
    const mebibytes = Number(memory);
    return {
      device: `cuda:${index}`,
      name,
      driver,
      memoryBytes: Number.isFinite(mebibytes) ? mebibytes * 2 ** 20 : null,
    };
  });
}

/** Name, driver and memory of every card; empty where CUDA_VISIBLE_DEVICES reorders them or there is no nvidia-smi. */
function driverLines(): string[][] {
  if (process.env.CUDA_VISIBLE_DEVICES !== undefined) return [];
  try {
    const query = ['--query-gpu=name,driver_version,memory.total', '--format=csv,noheader,nounits'];
    const text = execFileSync('nvidia-smi', query, {
      encoding: 'utf8',
      timeout: 10_000,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return text
      .trim()
      .split('\n')
      .map((line) => line.split(',').map((part) => part.trim()));
  } catch {
    return [];
  }
}

/**
 * The device that a setting means: `auto` is the first graphics card, or the processor where there is none.
 *
 * @param wanted `auto`, `cpu`, `cuda`, `cuda:1`, or `meta`, which has shapes and no numbers
 * @throws {DeviceError} for a card that is not there, or a LibTorch without CUDA.
 */
export function resolveDevice(wanted: string): string {
  if (!form.test(wanted)) {
    throw new DeviceError('device', `expected auto, cpu, cuda or cuda:N, got '${wanted}'.`);
  }
  if (!wanted.startsWith('cuda') && wanted !== 'auto') return wanted;
  const cards = count();
  if (wanted === 'auto') return cards > 0 ? 'cuda:0' : 'cpu';
  if (!checked('engineInfo', native.engineInfo()).cuda) {
    throw new DeviceError(
      'device',
      `'${wanted}' was asked for, but this LibTorch was built without CUDA. Set train.device to cpu, or run set-up with LIBTORCH naming one with CUDA.`,
    );
  }
  if (cards === 0) {
    throw new DeviceError(
      'device',
      `'${wanted}' was asked for, but no graphics card was found. Check that nvidia-smi lists one and that its driver suits this LibTorch, or set train.device to cpu.`,
    );
  }
  const index = wanted === 'cuda' ? 0 : Number(wanted.slice('cuda:'.length));
  if (index >= cards) {
    const names = Array.from({ length: cards }, (_, each) => `cuda:${each}`).join(', ');
    throw new DeviceError(
      'device',
      `'${wanted}' was asked for, but there ${cards === 1 ? 'is 1 graphics card' : `are ${cards} graphics cards`}: ${names}. Choose one of these.`,
    );
  }
  return `cuda:${index}`;
}

/** How cuDNN and cuBLAS compute. */
export interface CudaSettings {
  /** Only kernels that give the same bits every time. Default true. */
  readonly deterministic?: boolean;
  /** TF32 for products and convolutions in float32: faster, with 10 bits of mantissa. Default false. */
  readonly tf32?: boolean;
}

/**
 * Makes new tensors on a device from now on, those of typed arrays and random ones included. Random numbers are drawn on the
 * processor and copied, so that a seed gives the same ones on every device.
 *
 * @returns the device's full name, e.g. `cuda:0`
 * @throws {DeviceError} as `resolveDevice`.
 */
export function useDevice(wanted: string, settings: CudaSettings = {}): string {
  const device = resolveDevice(wanted);
  if (device.startsWith('cuda')) {
    // Read by cuBLAS when it is first used: without it, products may differ in their last bits from run to run.
    process.env.CUBLAS_WORKSPACE_CONFIG ??= ':4096:8';
    checked('device', native.configureCuda(settings.deterministic ?? true, settings.tf32 ?? false));
  }
  checked('device', native.setDevice(device));
  current = device;
  return device;
}

/** The device that new tensors are made on. */
export function currentDevice(): string {
  return current;
}

/** Runs `body` with new tensors on another device; the one before comes back even when it throws. */
export function withDevice<Result>(wanted: string, body: () => Result): Result {
  const before = current;
  useDevice(wanted);
  try {
    return body();
  } finally {
    useDevice(before);
  }
}

/** Waits until the device has done all that it was given; at once on the processor. Times mean nothing without. */
export function synchronize(): void {
  checked('synchronize', native.synchronize());
}

/** Bytes of the current graphics card that tensors use; -1 where this LibTorch (before 2.9) does not tell. */
export function deviceMemory(): {
  readonly usedBytes: number;
  readonly reservedBytes: number;
  readonly peakUsedBytes: number;
} {
  return checked('deviceMemory', native.deviceMemory());
}
