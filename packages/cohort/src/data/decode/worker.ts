/** The thread behind `workers.ts`: decodes what it is asked for, and hands the pixels over without copying them. */
import { parentPort } from 'node:worker_threads';
import { decodeImage } from '../loading/decodeImage.ts';
import { Limit } from './limit.ts';
import type { DecodeReply, DecodeRequest } from './workers.ts';

/** One is resized while the next is read and decoded. */
const limit = new Limit(2);

parentPort?.on('message', (request: DecodeRequest) => {
  void answer(request);
});

async function answer({ id, path, options }: DecodeRequest): Promise<void> {
  let pixels: Uint8Array | null = null;
  try {
    pixels = await limit.run(() => decodeImage(path, options));
  } catch {
    // The calling thread decodes it again and raises the error.
  }
  const reply: DecodeReply = { id, pixels };
  parentPort?.postMessage(reply, pixels === null ? [] : [pixels.buffer as ArrayBuffer]);
}
