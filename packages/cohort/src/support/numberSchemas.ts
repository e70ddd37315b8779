/** Numbers that settings of several kinds are made of: what the engine's 32-bit floats can hold. */
import * as z from 'zod';

/** About the largest 32-bit float; the engine takes nothing beyond. */
const largest = 3.4e38;

/** A finite number above 0. */
export const positive = z.number().positive().max(largest);

/** A finite number from 0. */
export const notNegative = z.number().min(0).max(largest);
