/** Test help: what a run records that must be the same whenever it is repeated. */

const OF_THE_MACHINE = new Set(['imagesPerSecond', 'processors', 'memoryMegabytes']);

/** The values of a record without those that depend on the machine and its other work. */
export function seededValues(values: Readonly<Record<string, number>>): Record<string, number> {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !OF_THE_MACHINE.has(name)));
}
