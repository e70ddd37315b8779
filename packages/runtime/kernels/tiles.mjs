/**
 * Writes the AssemblyScript source of the register-blocked convolution kernels: written out by hand they would differ in
 * nothing but the number of pixels, the stride and the type.
 *
 * A kernel computes `pixels` neighbouring pixels of one row for eight output channels, so that its sums stay in
 * registers. Images lie in blocks: 16 bytes hold four float32 or eight int16 channels of one pixel. Weights lie in the
 * order in which they are used: `[kernel row][kernel column][input block][4 channels or pairs][8 output channels]`.
 */

/** Numbers of neighbouring pixels that kernels exist for. */
export const tileSizes = [4, 3, 2, 1];
/** The same for images of colours, which are few and wide. */
const colourSizes = [4, 1];

const range = (count) => Array.from({ length: count }, (_, index) => index);

/** Lanes of a block that hold channels, for images of colours: three float32, or two pairs of int16. */
const colourLanes = { float: 3, integer: 2 };

/**
 * The loops over kernel rows, kernel columns and input blocks, the same for both types.
 *
 * V8 moves all loads of a basic block to its beginning and all arithmetic to its end, so four lanes in one block keep 24
 * vectors alive, and most are spilled. The `break` after each lane, which is never taken since weights never lie at such
 * an address, ends the block and holds the sums in their place.
 */
function accumulate(pixels, stride, multiplyAdd, lanes) {
  const step = (lane) => `
          w0 = v128.load(w, ${lane * 32});
          w1 = v128.load(w, ${lane * 32 + 16});
${range(pixels)
  .map((pixel) => `          x${pixel} = v128.load32_splat(p, ${pixel * stride * 16});`)
  .join('\n')}
${range(pixels)
  .map(
    (pixel) => `          a${pixel} = ${multiplyAdd}(x${pixel}, w0, a${pixel});
          b${pixel} = ${multiplyAdd}(x${pixel}, w1, b${pixel});`,
  )
  .join('\n')}${
    lane < lanes - 1
      ? `
          p += 4;
          if (w == ${lane + 1}) break;`
      : ''
  }`;
  return `
    let w = weights;
    let rowStart = input;
    const nextBlock = inputPlane - ${4 * (lanes - 1)};
    for (let ky = kernelHeight; ky > 0; ky--) {
      let column = rowStart;
      for (let kx = kernelWidth; kx > 0; kx--) {
        let p = column;
        for (let block = inputBlocks; block > 0; block--) {${range(lanes).map(step).join('')}
          w += 128;
          p += nextBlock;
        }
        column += columnStep;
      }
      rowStart += rowStep;
    }`;
}

const shared = `count: i32, input: usize, inputPlane: usize, rowStep: usize, columnStep: usize, pixelStep: usize,
  weights: usize, inputBlocks: i32, kernelHeight: i32, kernelWidth: i32, output: usize, outputPlane: usize`;

function sums(pixels, first, second) {
  return range(pixels)
    .map((pixel) => `    let a${pixel}: v128 = ${first};\n    let b${pixel}: v128 = ${second};`)
    .join('\n');
}

function floatTile(pixels, stride, name = 'float', lanes = 4) {
  const each = (write) => range(pixels).map(write).join('\n');
  return `
function ${name}${pixels}x${stride}(${shared},
  bias: usize, residual: usize, residualPlane: usize, low: v128, high: v128, both: bool): void {
  let ${range(pixels)
    .map((pixel) => `x${pixel}: v128`)
    .join(', ')}, w0: v128, w1: v128;
  for (; count > 0; count--) {
${sums(pixels, 'v128.load(bias)', 'v128.load(bias, 16)')}
${accumulate(pixels, stride, 'multiplyAdd', lanes)}
    if (residual) {
${each((i) => `      a${i} = f32x4.add(a${i}, v128.load(residual, ${i * 16}));`)}
      if (both) {
${each((i) => `        b${i} = f32x4.add(b${i}, v128.load(residual + residualPlane, ${i * 16}));`)}
      }
      residual += ${pixels * 16};
    }
${each((i) => `    v128.store(output, clamp(a${i}, low, high), ${i * 16});`)}
    if (both) {
${each((i) => `      v128.store(output + outputPlane, clamp(b${i}, low, high), ${i * 16});`)}
    }
    input += pixelStep * ${pixels};
    output += ${pixels * 16};
  }
}`;
}

function integerTile(pixels, stride, name = 'integer', lanes = 4) {
  const each = (write) => range(pixels).map(write).join('\n');
  return `
function ${name}${pixels}x${stride}(${shared},
  bias: usize, finish: usize, residual: usize): void {
  let ${range(pixels)
    .map((pixel) => `x${pixel}: v128`)
    .join(', ')}, w0: v128, w1: v128;
  for (; count > 0; count--) {
${sums(pixels, 'v128.load(bias)', 'v128.load(bias, 16)')}
${accumulate(pixels, stride, 'dotAdd', lanes)}
    if (finish) {
${each((i) => `      v128.store(output, requantise(a${i}, b${i}, bias, finish, residual, ${i * 16}), ${i * 16});`)}
      if (residual) residual += ${pixels * 16};
    } else {
${each((i) => `      v128.store(output, a${i}, ${i * 16});\n      v128.store(output + outputPlane, b${i}, ${i * 16});`)}
    }
    input += pixelStep * ${pixels};
    output += ${pixels * 16};
  }
}`;
}

/** One row of an output: as many of the widest kernel as fit, then one narrower. */
function row(kind, sizes, parameters, passed) {
  const call = (pixels, stride, count) =>
    `${kind}${pixels}x${stride}(${count}, input, inputPlane, rowStep, columnStep, pixelStep, weights, inputBlocks, kernelHeight, kernelWidth, output, outputPlane, ${passed});`;
  const [widest, ...narrower] = sizes;
  const branch = (stride) => `
    const tiles = width / ${widest};
    if (tiles > 0) {
      ${call(widest, stride, 'tiles')}
      input += pixelStep * ${widest} * tiles;
      output += ${widest * 16} * tiles;
      if (residual) residual += ${widest * 16} * tiles;
    }
    const rest = width % ${widest};
${narrower
  .map((pixels) =>
    narrower.length > 1
      ? `    if (rest == ${pixels}) ${call(pixels, stride, '1')}`
      : `    if (rest > 0) ${call(pixels, stride, 'rest')}`,
  )
  .join('\n')}`;
  return `
/** One row of \`width\` pixels for eight output channels. */
export function ${kind}Row(width: i32, ${shared.replace('count: i32, ', '')},
  ${parameters}): void {
  if (pixelStep == 16) {${branch(1)}
  } else if (pixelStep == 32) {${branch(2)}
  } else {
    ${call(1, 1, 'width')}
  }
}`;
}

const floatParameters =
  'bias: usize, residual: usize, residualPlane: usize, low: v128, high: v128, both: bool';
const floatPassed = 'bias, residual, residualPlane, low, high, both';
const integerParameters = 'bias: usize, finish: usize, residual: usize';
const integerPassed = 'bias, finish, residual';

/** The whole module of tile kernels. */
export function tileSource() {
  const kernels = [1, 2].flatMap((stride) => [
    ...tileSizes.flatMap((pixels) => [floatTile(pixels, stride), integerTile(pixels, stride)]),
    ...colourSizes.flatMap((pixels) => [
      floatTile(pixels, stride, 'floatColour', colourLanes.float),
      integerTile(pixels, stride, 'integerColour', colourLanes.integer),
    ]),
  ]);
  return `import { clamp, dotAdd, multiplyAdd, requantise } from './arithmetic';
${kernels.join('\n')}
${row('float', tileSizes, floatParameters, floatPassed)}
${row('integer', tileSizes, integerParameters, integerPassed)}
${row('floatColour', colourSizes, floatParameters, floatPassed)}
${row('integerColour', colourSizes, integerParameters, integerPassed)}
`;
}
