/** Colours of classes: neighbours in the list of classes lie far apart on the colour wheel. */

/** Red, green and blue, 0 to 255. */
export type Colour = readonly [red: number, green: number, blue: number];

/** Degrees between neighbours: the golden angle, which never repeats. */
const step = 137.508;

/** Names of what is no object, in common sets of data. */
const nothing = /^(_*background_*|void|unlabell?ed)$/i;

/** Whether a class stands for everything else, which gets no colour. */
export function isBackground(label: string): boolean {
  return nothing.test(label);
}

export function colourOf(index: number): Colour {
  const hue = (350 + step * index) % 360;
  // Every other turn of the wheel is darker.
  const lightness = [0.52, 0.36, 0.66][Math.floor(index / 7) % 3] ?? 0.5;
  const amount = 0.75 * Math.min(lightness, 1 - lightness);
  const channel = (offset: number): number => {
    const place = (offset + hue / 30) % 12;
    return Math.round(255 * (lightness - amount * Math.max(-1, Math.min(place - 3, 9 - place, 1))));
  };
  return [channel(0), channel(8), channel(4)];
}

export function cssColour([red, green, blue]: Colour): string {
  return `rgb(${red}, ${green}, ${blue})`;
}

/** Black or white, whichever is easier to read on it. */
export function textOn([red, green, blue]: Colour): string {
  const linear = (value: number): number => (value / 255) ** 2.2;
  const light = 0.2126 * linear(red) + 0.7152 * linear(green) + 0.0722 * linear(blue);
  return light > 0.18 ? '#000' : '#fff';
}
