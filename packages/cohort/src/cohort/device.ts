/** The device that a recipe is computed on: chosen before anything is built, and described for the record. */
import { cudaDevices, DeviceError, resolveDevice, useDevice, type CudaDevice } from '@cohort-ml/torch';
import type { ResolvedRecipe } from '../recipes/index.ts';
import type { Reporter } from '../progress/reporter.ts';

/** What is computed on, for `metrics` and `cohort doctor`. */
export interface DeviceDescription {
  readonly [name: string]: string | number | null;
  /** `cpu`, or `cuda:` and the number of a card. */
  readonly device: string;
  readonly deviceName: string | null;
  readonly driver: string | null;
  readonly deviceMemoryBytes: number | null;
}

type Told = Pick<Reporter, 'warning'>;

/**
 * Makes all further tensors on the device of the recipe.
 *
 * @throws {DeviceError} where it is not there.
 */
export function applyDevice(recipe: ResolvedRecipe): DeviceDescription {
  const { device, tf32 } = recipe.train;
  return describeDevice(useDevice(device, { tf32 }));
}

/**
 * As {@link applyDevice}, for a finished run: where the card that it was trained on is not there, its networks still work on
 * what is.
 *
 * @param wanted a device that takes the place of the recipe's
 * @throws {DeviceError} where `wanted` is not there.
 */
export function applyDeviceOfRun(recipe: ResolvedRecipe, reporter: Told, wanted?: string): DeviceDescription {
  if (wanted !== undefined) return applyDevice({ ...recipe, train: { ...recipe.train, device: wanted } });
  try {
    return applyDevice(recipe);
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    const device = resolveDevice('auto');
    reporter.warning(`The run was trained on ${recipe.train.device}, which is not here: using ${device}.`);
    return applyDevice({ ...recipe, train: { ...recipe.train, device } });
  }
}

function describeDevice(device: string): DeviceDescription {
  const card: CudaDevice | undefined = device.startsWith('cuda')
    ? cudaDevices().find((each) => each.device === device)
    : undefined;
  return {
    device,
    deviceName: card?.name ?? null,
    driver: card?.driver ?? null,
    deviceMemoryBytes: card?.memoryBytes ?? null,
  };
}
