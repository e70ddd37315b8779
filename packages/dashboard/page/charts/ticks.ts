/** Round numbers for axes. */

/** Some five round numbers between two bounds. */
export function ticks(low: number, high: number, wanted = 5): number[] {
  const span = high - low;
  if (!(span > 0)) return [low];
  const rough = span / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = ([1, 2, 5, 10].find((factor) => factor * power >= rough) ?? 10) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, index) =>
    Number(((first + index) * step).toPrecision(12)),
  );
}

/** Powers of ten between two bounds; 2 and 5 as well where there are few. */
export function logTicks(low: number, high: number): number[] {
  if (!(low > 0) || !(high > low)) return [low];
  const [first, last] = [Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))];
  const factors = last - first <= 2 ? [1, 2, 5] : [1];
  const stride = Math.max(1, Math.ceil((last - first) / 8));
  const all: number[] = [];
  for (let power = first; power <= last; power += stride)
    all.push(...factors.map((factor) => factor * 10 ** power));
  return all.filter((value) => value >= low * 0.999 && value <= high * 1.001);
}
