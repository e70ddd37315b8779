/** How much memory this process may still take, in a container as elsewhere. */
import { freemem, totalmem } from 'node:os';

/** Bytes that are free; no more than the limit of a container, where there is one, leaves. */
export function availableBytes(): number {
  const limit = process.constrainedMemory();
  const isLimited = limit > 0 && limit < totalmem();
  return isLimited ? Math.min(freemem(), Math.max(0, limit - process.memoryUsage.rss())) : freemem();
}
