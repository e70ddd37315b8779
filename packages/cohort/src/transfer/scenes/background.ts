/** Grounds that objects stand on: gradients, noise, stripes and chequers, with shapes strewn over them. */

/** Numbers in [0, 1), one after the other. */
export type Draw = () => number;

type Colour = readonly [red: number, green: number, blue: number];

function colour(draw: Draw): Colour {
  return [255 * draw(), 255 * draw(), 255 * draw()];
}

/** Between two colours. */
function mix(from: Colour, to: Colour, share: number, channel: 0 | 1 | 2): number {
  return from[channel] + (to[channel] - from[channel]) * share;
}

/** Smooth noise: random values on a grid of `cells` by `cells`, bilinear in between. */
function noise(draw: Draw, cells: number): (u: number, v: number) => number {
  const grid = Array.from({ length: (cells + 2) ** 2 }, draw);
  return (u, v) => {
    const [x, y] = [u * cells, v * cells];
    const [column, row] = [Math.floor(x), Math.floor(y)];
    const [fx, fy] = [x - column, y - row];
    const value = (dx: number, dy: number): number => grid[(row + dy) * (cells + 2) + column + dx] ?? 0;
    const top = value(0, 0) * (1 - fx) + value(1, 0) * fx;
    const bottom = value(0, 1) * (1 - fx) + value(1, 1) * fx;
    return top * (1 - fy) + bottom * fy;
  };
}

/** What a place of the ground has of its second colour, by place as a share of the side. */
function texture(draw: Draw): (u: number, v: number) => number {
  const kind = Math.floor(4 * draw());
  const angle = Math.PI * draw();
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  const frequency = 3 + Math.floor(9 * draw());
  switch (kind) {
    case 0:
      return (u, v) => Math.min(1, Math.max(0, 0.5 + (cosine * (u - 0.5) + sine * (v - 0.5))));
    case 1:
      return noise(draw, frequency);
    case 2:
      return (u, v) => 0.5 + 0.5 * Math.sin(2 * Math.PI * frequency * (cosine * u + sine * v));
    default:
      return (u, v) => (Math.floor(u * frequency) + Math.floor(v * frequency)) % 2;
  }
}

/** A ground of `side` by `side` pixels, RGB row by row, with up to `mostShapes` shapes on it. */
export function paintBackground(draw: Draw, side: number, mostShapes: number): Float32Array {
  const [from, to] = [colour(draw), colour(draw)];
  const share = texture(draw);
  const grain = noise(draw, side / 2);
  const pixels = new Float32Array(side * side * 3);
  for (let row = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1) {
      const [u, v] = [column / side, row / side];
      const here = share(u, v);
      const speck = 24 * (grain(u, v) - 0.5);
      for (const channel of [0, 1, 2] as const) {
        pixels[3 * (row * side + column) + channel] = mix(from, to, here, channel) + speck;
      }
    }
  }
  const shapes = Math.floor((mostShapes + 1) * draw());
  for (let shape = 0; shape < shapes; shape += 1) paintShape(pixels, side, draw);
  return pixels;
}

/** A rectangle or an ellipse of one colour, half transparent or not. */
function paintShape(pixels: Float32Array, side: number, draw: Draw): void {
  const fill = colour(draw);
  const [x, y] = [side * draw(), side * draw()];
  const [width, height] = [(0.05 + 0.3 * draw()) * side, (0.05 + 0.3 * draw()) * side];
  const isRound = draw() < 0.5;
  const opacity = draw() < 0.5 ? 1 : 0.5;
  for (let row = 0; row < side; row += 1) {
    for (let column = 0; column < side; column += 1) {
      const [dx, dy] = [(column - x) / width, (row - y) / height];
      if (isRound ? dx * dx + dy * dy > 0.25 : Math.max(Math.abs(dx), Math.abs(dy)) > 0.5) continue;
      for (const channel of [0, 1, 2] as const) {
        const place = 3 * (row * side + column) + channel;
        pixels[place] = (pixels[place] ?? 0) * (1 - opacity) + fill[channel] * opacity;
      }
    }
  }
}
